import { createSocket } from "node:dgram";
import { waitFor } from "@shardcast/testkit";
import { describe, expect, it, vi } from "vitest";
import { FakeBackend, frameBytes } from "./support/fake-backend.ts";
import { gatewayRigs } from "./support/gateway-rig.ts";

const [control, video, ack, file] = [1, 2, 3, 4];
const { start } = gatewayRigs();
const within = { deadlineMs: 5000 };

describe("a gateway", () => {
	it("passes a frame each way, and tells both sides about each other", async () => {
		const rig = await start();
		const client = await rig.client();
		const { port } = rig.backends[0]!;
		expect(client.told).toEqual([
			{ type: "welcome", version: 1, client: client.id, backends: [{ id: 1, address: `127.0.0.1:${port}`, up: true }] },
		]);
		const link = await rig.backends[0]!.connection("control");
		await waitFor(() => link.messages.some(({ type, client: id }) => type === "client_joined" && id === client.id), {
			...within,
			what: "client_joined",
		});
		client.socket.send(Buffer.from([0, 0, 0, 99, 0, 0, 0, 1, control, 104, 105]));
		await waitFor(() => link.story.includes("hi"), { ...within, what: "the frame" });
		expect(link.frames.at(-1)).toMatchObject({ frameClass: control, clientId: client.id, backendId: 1 });
		link.socket.write(frameBytes(control, client.id, "there"));
		await waitFor(() => client.texts.includes("there"), { ...within, what: "the answer" });
		expect(client.frames[0]).toMatchObject({ clientId: client.id, backendId: 1, frameClass: control });
		client.socket.close();
		await waitFor(() => link.messages.some(({ type }) => type === "client_left"), { ...within, what: "client_left" });
	});

	it("unicast and broadcast, both ways", async () => {
		const rig = await start({}, 2);
		const [one, other] = [await rig.client(), await rig.client()];
		const links = await Promise.all(rig.backends.map((backend) => backend.connection("control")));
		one.send(control, 2, "to the second");
		one.send(control, 0, "to all");
		await waitFor(() => links.every(({ story }) => story.includes("to all")), { ...within, what: "the broadcast" });
		expect(links.map(({ story }) => story.includes("to the second"))).toEqual([false, true]);
		const broadcasts = links.map(({ frames }) => frames.find(({ content }) => content.toString() === "to all"));
		expect(broadcasts.map((frame) => frame?.backendId)).toEqual([1, 2]);
		links[0]!.socket.write(Buffer.concat([frameBytes(control, other.id, "to one"), frameBytes(control, 0, "to everyone")]));
		await waitFor(() => [one, other].every(({ texts }) => texts.includes("to everyone")), { ...within, what: "the broadcast" });
		expect([one.texts, other.texts]).toEqual([["to everyone"], ["to one", "to everyone"]]);
		expect(one.frames[0]).toMatchObject({ clientId: 0, backendId: 1 });
		// Of what backends sent, once for each client; what the gateway itself says does not count.
		const { latency } = rig.report;
		expect(latency.count).toBe(3);
		expect(latency.mostSeconds).toBeGreaterThan(0);
		expect(latency.seconds).toBeLessThan(3 * (within.deadlineMs / 1000));
	});

	it("takes CONTROL and ACK over the control connection, VIDEO and FILE over the other", async () => {
		const rig = await start();
		const client = await rig.client();
		client.send(control, 1, "control");
		client.send(video, 1, "video");
		client.send(ack, 1, Buffer.from([file, 120]));
		client.send(file, 1, "file");
		const [controls, data] = await Promise.all([rig.backends[0]!.connection("control"), rig.backends[0]!.connection("data")]);
		await waitFor(() => data.story.includes("file") && controls.story.includes("\u0004x"), { ...within, what: "the frames" });
		expect(controls.story).toEqual(expect.arrayContaining(["control", "\u0004x"]));
		expect(data.story).toEqual(["hello", "video", "file"]);
	});

	it("refuses what cannot be passed on, each time, and never closes for it", async () => {
		const rig = await start({ maxFrameBytes: 512 }, 2);
		const client = await rig.client();
		await rig.backends[1]!.close();
		await waitFor(() => client.told.some(({ type, up }) => type === "backend" && up === false), { ...within, what: "the backend is down" });
		client.send(control, 7, "x");
		client.send(file, 2, "x");
		client.send(control, 1, Buffer.alloc(512));
		client.send(video, 2, "dropped");
		client.send(9, 1, "no such class");
		client.send(0, 1, "link");
		client.socket.send(Buffer.alloc(8));
		client.send(control, 1, "good");
		const link = await rig.backends[0]!.connection("control");
		await waitFor(() => link.story.includes("good"), { ...within, what: "the good frame" });
		await waitFor(() => client.told.filter(({ type }) => type === "refused").length === 3, { ...within, what: "three refusals" });
		expect(client.told.filter(({ type }) => type === "refused")).toEqual([
			{ type: "refused", backend: 7, class: control, reason: "unknown_backend" },
			{ type: "refused", backend: 2, class: file, reason: "backend_down" },
			{ type: "refused", backend: 1, class: control, reason: "too_long" },
		]);
		const { dropped } = rig.report;
		expect(dropped).toMatchObject({ no_backend: 1, unknown_class: 1, link_from_client: 1, malformed: 1 });
		expect(client.closed).toBe(null);
	});

	it("closes with 1003 for text", async () => {
		const rig = await start();
		const client = await rig.client();
		client.socket.send("text");
		expect(await client.closing()).toEqual({ code: 1003, reason: "frames are binary messages" });
		expect(rig.report.clients.closed.text).toBe(1);
	});

	it("a backend that ends and comes back: clients stay, are told, and go on", async () => {
		const rig = await start({}, 2);
		const client = await rig.client();
		const { port } = rig.backends[0]!;
		await rig.backends[0]!.close();
		const told = () => client.told.filter(({ type }) => type === "backend").map(({ id, up }) => [id, up]);
		await waitFor(() => told().length === 1, { ...within, what: "down" });
		rig.backends[0] = await FakeBackend.open(port);
		await waitFor(() => told().length === 2, { ...within, what: "up" });
		expect(told()).toEqual([
			[1, false],
			[1, true],
		]);
		const link = await rig.backends[0]!.connection("control");
		await waitFor(() => link.messages.some(({ type, clients }) => type === "clients" && (clients as number[]).includes(client.id)), {
			...within,
			what: "the list of clients",
		});
		client.send(control, 1, "again");
		await waitFor(() => link.story.includes("again"), { ...within, what: "the frame" });
		expect(client.closed).toBe(null);
	});

	it("VIDEO: one frame at a time, the newest next, and without an acknowledgement after --ack-timeout", async () => {
		const rig = await start({ ackTimeoutMs: 300 });
		const client = await rig.client();
		// Until the test says so, and but once: this process may stand still for longer than the timeout.
		let mayExpire = false;
		const { output } = rig.gateway.hub.clients.all[0]!.queues;
		const expire = output.expire.bind(output);
		vi.spyOn(output, "expire").mockImplementation((nowMs) => {
			if (mayExpire && rig.report.acks.resets === 0) expire(nowMs);
		});
		const data = await rig.backends[0]!.connection("data");
		const send = (...texts: string[]) => data.socket.write(Buffer.concat(texts.map((text) => frameBytes(video, client.id, text))));
		send("1");
		await waitFor(() => client.texts.length === 1, { ...within, what: "the first frame" });
		send("2", "3", "4");
		await waitFor(() => rig.report.acks.skipped === 2, { ...within, what: "two skipped frames" });
		expect(client.texts).toEqual(["1"]);
		client.send(ack, 1, Buffer.from([video]));
		await waitFor(() => client.texts.length === 2, { ...within, what: "the newest frame" });
		expect(client.texts).toEqual(["1", "4"]);
		send("5");
		mayExpire = true;
		await waitFor(() => client.texts.length === 3, { ...within, what: "the frame without an acknowledgement" });
		expect(rig.report.acks).toMatchObject({ acks: 1, skipped: 2, resets: 1 });
		client.send(ack, 1);
		client.send(ack, 1);
		await waitFor(() => rig.report.acks.surplusAcks === 1, { ...within, what: "a surplus acknowledgement" });
	});

	it("a console page with the figures of /health, under the rules of the console", async () => {
		const rig = await start({ consoleToken: "a-token-for-the-page", requireAuth: false });
		const get = (path: string) => fetch(`http://127.0.0.1:${rig.port}${path}`);
		expect((await get("/console")).status).toBe(403);
		expect((await get("/console/gateway.json")).status).toBe(403);
		const page = await get("/console?token=a-token-for-the-page");
		expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("/console/gateway.js")]);
		for (const file of ["gateway.js", "dom.js", "format.js", "console.css"]) expect((await get(`/console/${file}`)).status, file).toBe(200);
		const figures = await (await get("/console/gateway.json?token=a-token-for-the-page")).json();
		expect(figures).toMatchObject({
			status: "healthy",
			clients: { open: 0 },
			backends: [{ id: 1, process: null, isUp: true, breaker: "CLOSED" }],
		});
	});

	it("/health and /ready say which backends are away, and that no client is of use without any", async () => {
		const rig = await start({}, 2);
		const get = async (path: string) => {
			const answer = await fetch(`http://127.0.0.1:${rig.port}${path}`);
			return [answer.status, ((await answer.json()) as { reasons?: string[] }).reasons];
		};
		const addresses = rig.report.backends.map(({ address }) => address);
		expect(await get("/health")).toEqual([200, []]);
		await rig.backends[0]!.close();
		await rig.up(1);
		expect(await get("/health")).toEqual([200, [`backend 1 (${addresses[0]}) is not connected`]]);
		expect(await get("/ready")).toEqual([200, undefined]);
		await rig.backends[1]!.close();
		await rig.up(0);
		expect((await get("/health"))[0]).toBe(503);
		expect(await get("/ready")).toEqual([503, addresses.map((address, index) => `backend ${index + 1} (${address}) is not connected`)]);
	});

	it("--discover: a backend that announces itself is connected, and gone when it leaves", async () => {
		const backend = await FakeBackend.open();
		const rig = await start({ discover: true, discoveryPort: 0, gatewayBackends: [] }, []);
		rig.backends.push(backend);
		const client = await rig.client();
		const [, udp] = /UDP port (\d+)/.exec(rig.gateway.about)!;
		const socket = createSocket("udp4");
		const say = (more: object) => {
			const announcement = { shardcast: "backend", version: 1, port: backend.port, name: "camera", ...more };
			socket.send(JSON.stringify(announcement), Number(udp), "127.0.0.1");
		};
		say({});
		await rig.up(1);
		expect(rig.report.backends[0]).toMatchObject({ id: 1, name: "camera" });
		client.send(control, 1, "found");
		const link = await backend.connection("control");
		await waitFor(() => link.story.includes("found"), { ...within, what: "the frame" });
		say({ leaving: true });
		await waitFor(() => rig.report.backends.length === 0, { ...within, what: "the backend is gone" });
		await waitFor(() => client.told.filter(({ type }) => type === "backend").at(-1)?.up === false, {
			...within,
			what: "the client is told",
		});
		socket.close();
	});

	it("gives a client's id to no other client", async () => {
		const rig = await start();
		const ids = new Set<number>();
		for (let count = 0; count < 20; count++) {
			const client = await rig.client();
			ids.add(client.id);
			client.socket.terminate();
		}
		expect(ids.size).toBe(20);
		expect(ids.has(0)).toBe(false);
	});
});
