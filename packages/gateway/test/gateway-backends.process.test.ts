import { createSocket } from "node:dgram";
import { once } from "node:events";
import { ConfigError } from "@shardcast/config";
import { waitFor } from "@shardcast/testkit";
import { describe, expect, it, vi } from "vitest";
import { FakeBackend, frameBytes } from "./support/fake-backend.ts";
import { gatewayRigs } from "./support/gateway-rig.ts";

const file = 4;
const { opened, start } = gatewayRigs();
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

	it("that a reload removes: a slow client gets every frame that it had written, and then that it is down", async () => {
		const rig = await start({ clientQueueFrames: 4 }, 2);
		const [gone, stays] = rig.backends as [FakeBackend, FakeBackend];
		const client = await rig.client();
		client.pause();
		const data = await gone.connection("data");
		const count = 200;
		for (let index = 0; index < count; index++) data.socket.write(frameBytes(file, client.id, `${index} ${"x".repeat(100_000)}`));
		await waitFor(() => rig.report.backends[0]!.stopped.client! > 0, { ...within, what: "the client is full" });
		rig.gateway.reload({ ...rig.gateway.config, gatewayBackends: [`127.0.0.1:${stays.port}`] });
		client.send(1, 1, "too late");
		expect(rig.report.backends.map(({ id }) => id)).toEqual([2]);
		client.socket.resume();
		await waitFor(() => client.told.some(({ type, up }) => type === "backend" && up === false), { ...within, what: "down" });
		expect(client.texts.map((text) => Number(text.split(" ")[0]))).toEqual(Array.from({ length: count }, (_, index) => index));
		expect(client.told.slice(1).map(({ type, reason }) => reason ?? type)).toEqual(["backend_down", "backend"]);
		expect(rig.report.backends.map(({ id, isUp }) => [id, isUp])).toEqual([[2, true]]);
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

	it("a reload connects those that are new on the list, and closes those that are gone; the others and the clients notice nothing", async () => {
		const rig = await start({}, 2);
		const [gone, stays] = rig.backends as [FakeBackend, FakeBackend];
		const added = await FakeBackend.open();
		opened.push({ stop: () => added.close() });
		const addressOf = ({ port }: FakeBackend) => `127.0.0.1:${port}`;
		const client = await rig.client();
		const use = (...backends: FakeBackend[]) => rig.gateway.reload({ ...rig.gateway.config, gatewayBackends: backends.map(addressOf) });
		use(added, stays);
		await rig.up(2);
		await waitFor(() => gone.open.length === 0, { ...within, what: "the end of one" });
		expect(rig.report.backends.map(({ id, address, ups }) => ({ id, address, ups }))).toEqual([
			{ id: 2, address: addressOf(stays), ups: 1 },
			{ id: 3, address: addressOf(added), ups: 1 },
		]);
		expect([stays.connections.length, client.closed]).toEqual([2, null]);
		await waitFor(() => client.told.length === 4, { ...within, what: "news" });
		const news = (of: number) => client.told.flatMap(({ type, id, up }) => (type === "backend" && id === of ? [up] : []));
		expect([news(1), news(3)]).toEqual([[false], [false, true]]);
		client.send(file, 3, "to the new one");
		const data = await added.connection("data");
		await waitFor(() => data.story.at(-1) === "to the new one", { ...within, what: "a frame" });
		use(gone, added);
		await rig.up(2);
		expect(rig.report.backends.map(({ id }) => id)).toEqual([3, 1]);
		expect(() => use()).toThrow(ConfigError);
		expect(() => use()).toThrow("there would be no backends left; name at least one in gateway.backends, or restart with --discover");
		expect(rig.report.backends.map(({ isUp }) => isUp)).toEqual([true, true]);
	});

	it("clients are told the name that one has announced, when they come and when it changes", async () => {
		const rig = await start({ discover: true, discoveryPort: 0 });
		const early = await rig.client();
		const [, discoveryPort] = /UDP port (\d+)/.exec(rig.gateway.about)!;
		const sender = createSocket("udp4");
		opened.push({ stop: () => sender.close() });
		sender.bind(0, "127.0.0.1");
		await once(sender, "listening");
		const { port } = rig.backends[0]!;
		const announce = (name: string) =>
			sender.send(JSON.stringify({ shardcast: "backend", version: 1, port, name }), Number(discoveryPort), "127.0.0.1");
		const known = { id: 1, address: `127.0.0.1:${port}`, up: true };
		expect(early.told[0]!.backends).toEqual([known]);
		for (const name of ["camera-1", "camera-2"]) {
			announce(name);
			await waitFor(() => early.told.at(-1)!.name === name, { ...within, what: name });
		}
		expect(early.told.slice(1)).toEqual(["camera-1", "camera-2"].map((name) => ({ type: "backend", ...known, name })));
		expect((await rig.client()).told[0]!.backends).toEqual([{ ...known, name: "camera-2" }]);
	});

	it("more than 64 are counted", async () => {
		const rig = await start();
		const { config, hub } = rig.gateway;
		// The check of the options, which refuses such a list, is not of the gateway itself.
		const more = Array.from({ length: 65 }, (_, index) => `127.0.0.1:${index + 1}`);
		rig.gateway.reload({ ...config, gatewayBackends: [...config.gatewayBackends, ...more] });
		expect(hub.backends.size).toBe(64);
		expect(rig.report.backendsRefused).toBe(2);
		expect(await rig.metric("shardcast_gateway_backends_refused_total")).toBe(2);
	});
});
