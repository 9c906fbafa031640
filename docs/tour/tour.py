import asyncio, json, uuid, nats

async def main():
    desk = await nats.connect("nats://127.0.0.1:4222")

    async def send(actor, kind, data=None, **rest):
        command = {"id": str(uuid.uuid4()), "data": data or {}, **rest}
        answer = await desk.request(f"copydesk.command.{actor}.{kind}", json.dumps(command).encode())
        return json.loads(answer.data)

    draft = await send("ana", "draft", {
        "slug": "river", "language": "en", "section": "world/asia", "headline": "The river rises",
        "markdown": "The river rose *overnight*.\n\nNobody was hurt, the wardens say.",
    })
    article = {"article": draft["article"], "base": draft["revision"]}
    print((await send("pia", "publish", **article))["detail"])
    await send("ana", "submit", **article)
    await send("eva", "approve", **article)
    print((await send("pia", "publish", **article))["status"])

    wire = await desk.jetstream().pull_subscribe("copydesk.wire.>", "reader")
    [edition] = await wire.fetch(1, timeout=5)
    print(edition.subject, edition.headers["Copydesk-Kind"], json.loads(edition.data)["headlines"][0]["value"])
    await desk.close()

asyncio.run(main())
