#!/usr/bin/env bash
# gradio 6.31.0, gradio_client 2.7.2, Python 3.11
#
# Believed: launch(enable_monitoring=False), with analytics off as well, spares a server the bookkeeping of its
# monitoring page.
# Seen: after every event that the queue ends, whoever has switched off what, Gradio builds a pandas table of all past
# events (up to 10,000 of them) and groups it by function, in a worker thread, and nobody reads the result. The work
# grows with the number of events that the server has ever handled. What does spare it is the environment variable
# GRADIO_ANALYTICS_CACHE_FREQUENCY, which says after how many events the table is made again; it is 1 by default.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet gradio==6.31.0 gradio_client==2.7.2 2>/dev/null
cat > app.py <<'PY'
import gradio as gr
from gradio.queueing import Queue
from gradio_client import Client

rows, make_table = [], Queue._get_df

def counted(records):
    rows.append(len(records))
    return make_table(records)

Queue._get_df = staticmethod(counted)
with gr.Blocks(analytics_enabled=False) as demo:
    text = gr.Textbox()
    text.submit(lambda value: value, text, text, api_name="run")
demo.launch(prevent_thread_lock=True, quiet=True, enable_monitoring=False)
client = Client(demo.local_url, verbose=False)
for number in range(30):
    client.predict(str(number), api_name="/run")
print("tables:", len(rows), "rows of the first and the last:", rows[:1], rows[-1:], flush=True)
demo.close()
PY
export GRADIO_ANALYTICS_ENABLED=False
venv/bin/python app.py 2>/dev/null | tee default
GRADIO_ANALYTICS_CACHE_FREQUENCY=1000000 venv/bin/python app.py 2>/dev/null | tee spared
grep -qE "tables: (29|30) rows of the first and the last: \[1\] \[(29|30)\]" default
grep -q "tables: 0 " spared
echo "as described: a table of all past events after every event, unless the variable says otherwise"
