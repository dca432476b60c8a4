#!/usr/bin/env bash
# gradio 6.31.0, Python 3.11
#
# Believed: a call of an endpoint (POST /gradio_api/call/NAME, without a session of its own) costs what its function and
# its inputs cost, and leaves nothing behind once its answer was read.
# Seen: each call begins a session, and a session begins with a description of every component of the whole page, made
# anew with inspect.signature on the event loop, although only links to a page's state (DeepLinkButton) read it. On a
# page of 200 sliders that is tens of milliseconds in which the server answers nobody, and some 400 kB, which stay after
# the answer: 10,000 sessions are kept by default (launch(state_session_capacity=...)), so a page can grow by
# gigabytes from calls that have all ended. A page whose `default_config.__copy__` gives a `BlocksConfig` with an empty
# `config_for_block` does without.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet gradio==6.31.0 2>/dev/null
cat > app.py <<'PY'
import time
import tracemalloc

import gradio as gr
import httpx
from gradio.state_holder import SessionState

CALLS = 20
with gr.Blocks(analytics_enabled=False) as demo:
    sliders = [gr.Slider(0, 1, label=str(number)) for number in range(200)]
    text = gr.Textbox()
    text.submit(lambda value: value, text, text, api_name="run")
app, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, enable_monitoring=False)
for number in range(CALLS):
    event = httpx.post(f"{url}gradio_api/call/run", json={"data": [str(number)]}).json()["event_id"]
    assert f'["{number}"]' in httpx.get(f"{url}gradio_api/call/run/{event}").text
sessions = list(app.state_holder.session_data.values())
described = sum(len(config) > 0 for config in sessions[0].config_values.values())
began = time.process_time()
SessionState(demo)
spent = time.process_time() - began
tracemalloc.start()
another = SessionState(demo)
kilobytes = tracemalloc.get_traced_memory()[0] / 1000
print(f"{spent * 1000:.0f} ms a session", flush=True)
print("sessions:", len(sessions), "described components:", described, "at least 200 kB each:", kilobytes > 200)
PY
export GRADIO_ANALYTICS_ENABLED=False
venv/bin/python app.py 2>/dev/null | tee seen
grep -qE "sessions: 20 described components: 20[0-9] at least 200 kB each: True" seen
echo "as described: every call of an endpoint leaves a description of the whole page behind"
