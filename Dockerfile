# The page on a server of your own: see docs/space.md.
# PyTorch's wheels bring CUDA 13 with them, so the image needs none. The host needs an NVIDIA driver of version 580 or
# newer and the NVIDIA Container Toolkit. Without a GPU the same image serves the small model.
FROM python:3.11-slim-bookworm

COPY packages.txt /tmp/
RUN apt-get update \
    && xargs -a /tmp/packages.txt apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 user && install -d -o user /weights
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY LICENSE app.py ./
COPY assets/xdyna-mini assets/xdyna-mini
COPY examples examples
COPY xdyna xdyna

USER user
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    HF_HOME=/weights/hub \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all \
    PYTHONUNBUFFERED=1 \
    XDYNA_WEIGHTS=/weights
VOLUME /weights
EXPOSE 7860
HEALTHCHECK --start-period=120s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/')"]
CMD ["python", "app.py"]
