import { waitFor } from "@shardcast/testkit";
import { describe, expect, it, vi } from "vitest";
import { frameBytes } from "./support/fake-backend.ts";
import { gatewayRigs } from "./support/gateway-rig.ts";

const file = 4;
const { start } = gatewayRigs();
const within = { deadlineMs: 20_000 };

describe("backends of a gateway", () => {
	it("that has said all and closes: a slow client gets every frame, and then that it is down", async () => {
		const rig = await start({ clientQueueFrames: 4 });
		const client = await rig.client();
		client.pause();
		const [control, data] = [await rig.backends[0]!.connection("control"), await rig.backends[0]!.connection("data")];
		const count = 200;
		for (let index = 0; index < count; index++) data.socket.write(frameBytes(file, client.id, `${index} ${"x".repeat(100_000)}`));
		await waitFor(() => rig.report.backends[0]!.stopped.client > 0, { ...within, what: "the client is full" });
		data.socket.end();
		control.socket.end();
		await waitFor(() => control.isClosed, { ...within, what: "the end of one" });
		expect(client.frames.length).toBeLessThan(count);
		client.socket.resume();
		await waitFor(() => client.told.some(({ type, up }) => type === "backend" && up === false), { ...within, what: "down" });
		expect(client.texts.map((text) => Number(text.split(" ")[0]))).toEqual(Array.from({ length: count }, (_, index) => index));
	});

	it("one whose link ends because of a new client: the client is welcomed first", async () => {
		const rig = await start();
		const [backend] = [...rig.gateway.hub.backends.all];
		vi.spyOn(backend!.link.outbox, "tell").mockReturnValueOnce(false);
		const client = await rig.client();
		await waitFor(() => client.told.length >= 3, { ...within, what: "that it is down, and up again" });
		expect(client.told.map(({ type, up }) => `${type} ${up}`).slice(0, 3)).toEqual(["welcome undefined", "backend false", "backend true"]);
		expect(rig.report.backends[0]!.ends.backlog).toBe(1);
	});
});
