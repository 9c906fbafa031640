"""python3 consumer.py nats://localhost:4222 site ./stories [SECTION or ""] [start or now]

Keeps each story of the wire as FOLDER/<article>.json: its newest edition, or its withdrawal. See ../WIRE.md.
"""

import asyncio, json, os, sys
from pathlib import Path

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

STREAM, SUBJECT = "COPYDESK_WIRE", "copydesk.wire"
server, name, folder, section, since = (sys.argv[1:] + ["", "start"][len(sys.argv) - 4 :])[:5]
folder = Path(folder)


def write(path, data):
    """Whole or not at all, and on the disk."""
    with open(f"{path}.new", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def take(message):
    article, edition = message.headers["Nats-Msg-Id"].split("/")
    count, counted = int(message.headers["Copydesk-Count"]), folder / "count"
    last = int(counted.read_text()) if counted.exists() else 0
    if not section and (last or since == "start") and count > last + 1:
        sys.exit(f"{count - last - 1} messages are missing between {last} and {count}")
    kept = folder / f"{article}.json"
    if not kept.exists() or int(json.loads(kept.read_bytes())["version"]) < int(edition):
        data, withdrawn = message.data, message.headers["Copydesk-Kind"] == "withdrawal"
        try:
            item = json.loads(data)
            readable = item["version"] == edition and item["pubStatus"] in ("usable", "canceled")
        except (ValueError, KeyError, TypeError):
            readable = False
        if not readable:  # Keep it, tell someone, and go on; the headers alone can take a text down.
            write(folder / f"unread-{count}", data)
            print(f"edition {edition} of {article} can't be read", file=sys.stderr)
            data = json.dumps({"version": edition, "pubStatus": "canceled"}).encode()
        if readable or withdrawn:
            write(kept, data)
    write(counted, str(max(count, last)).encode())


async def main():
    folder.mkdir(parents=True, exist_ok=True)
    connection = await nats.connect(
        server, nkeys_seed=os.environ.get("NATS_NKEY"), inbox_prefix=f"_INBOX.{name}", max_reconnect_attempts=-1)
    subject = ".".join([SUBJECT, *section.split("/")]) if section else SUBJECT
    config = ConsumerConfig(
        name=name, durable_name=name, ack_policy=AckPolicy.EXPLICIT, ack_wait=10, max_ack_pending=1,
        deliver_policy=DeliverPolicy.ALL if since == "start" else DeliverPolicy.NEW,
        filter_subjects=[subject, f"{subject}.>"])
    wire = connection.jetstream()
    await wire.add_consumer(STREAM, config)
    messages = await wire.pull_subscribe_bind(consumer=name, stream=STREAM)
    while True:
        try:
            [message] = await messages.fetch(1, timeout=5)
            take(message)
            await message.ack_sync()
        except (nats.errors.TimeoutError, nats.js.errors.ServiceUnavailableError):
            await asyncio.sleep(0.1)  # Nothing new, or the server is away. What wasn't acknowledged comes again.


asyncio.run(main())
