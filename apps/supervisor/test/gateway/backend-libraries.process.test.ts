import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startGuard, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { encodeFrame, FakeGateway, FrameClass, helloFrame, linkFrame } from "./support/fake-gateway.ts";

/** What each library for backends in examples/gateway must do. */
const programs = join(import.meta.dirname, "programs");
const examples = join(import.meta.dirname, "../../../../examples/gateway");
const libraries = [
	{ library: "gateway-backend.mjs", command: process.execPath, program: join(programs, "conformance.mjs"), tags: [] },
	{ library: "gateway_backend.py", command: "python3", program: join(programs, "conformance.py"), tags: ["long"] },
];

function isMissing(command: string): boolean {
	try {
		execFileSync(command, ["--version"], { stdio: "ignore" });
		return false;
	} catch {
		const message = `SKIPPED: the library for backends that needs ${command} is not tested: apt-get install ${command}`;
		if (process.env.CI === "true") throw new Error(message);
		console.warn(message);
		return true;
	}
}

interface Report {
	readonly joined: readonly number[];
	readonly left: readonly number[];
	readonly up: number;
	readonly down: number;
	readonly problems: readonly string[];
	readonly clients: readonly number[];
	readonly gateways: number;
	readonly stats: Readonly<Record<string, number>>;
}

for (const { library, command, program, tags } of libraries)
	describe.skipIf(isMissing(command))(`examples/gateway/${library}`, { tags }, () => {
		let child: ChildProcess;
		let output = "";
		const gateways: FakeGateway[] = [];
		const udp: Socket[] = [];

		afterEach(async () => {
			for (const gateway of gateways.splice(0)) gateway.close();
			for (const socket of udp.splice(0)) socket.close();
			if (child.exitCode === null && child.signalCode === null) {
				child.kill("SIGKILL");
				await once(child, "exit");
			}
		});

		/** @returns its port */
		async function start(...args: string[]): Promise<number> {
			output = "";
			child = spawn(command, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
			const guard = startGuard(child.pid!);
			child.once("exit", () => guard.kill("SIGKILL"));
			for (const stream of [child.stdout!, child.stderr!])
				stream.on("data", (data: Buffer) => {
					output += data.toString();
				});
			const [, port] = await waitFor(() => /listening on (\d+)/.exec(output), { deadlineMs: 10_000, what: `its port in ${output}` });
			return Number(port);
		}

		async function open(port: number, id = "00000000000000aa", clients: readonly number[] = [7, 9]): Promise<FakeGateway> {
			const gateway = await FakeGateway.open(port, id, clients);
			gateways.push(gateway);
			return gateway;
		}
		async function dial(port: number): Promise<FakeGateway> {
			const gateway = await FakeGateway.dial(port);
			gateways.push(gateway);
			return gateway;
		}
		const report = (gateway: FakeGateway): Promise<Report> => gateway.ask<Report>(7, { do: "report" });

		it("answers each class on the connection that is for it", async () => {
			const gateway = await open(await start());
			for (const [frameClass, link] of [
				[FrameClass.CONTROL, "control"],
				[FrameClass.VIDEO, "data"],
				[FrameClass.ACK, "control"],
				[FrameClass.FILE, "data"],
			] as const) {
				gateway.send(9, frameClass, "héllo");
				expect(await gateway.take(frameClass, 1)).toEqual([{ link, client: 9, backend: 0, frameClass, body: Buffer.from("héllo") }]);
			}
			gateway.send(7, FrameClass.CONTROL, "");
			expect((await gateway.take(FrameClass.CONTROL, 1))[0]).toMatchObject({ client: 7, body: Buffer.alloc(0) });
		});

		it("tells of clients that are there, come and leave, and of frames that are faster than the news of their client", async () => {
			const gateway = await open(await start());
			gateway.sockets.control.write(linkFrame({ type: "client_joined", client: 4_294_967_295 }));
			gateway.sockets.control.write(linkFrame({ type: "client_left", client: 9 }));
			gateway.sockets.control.write(linkFrame({ type: "of a newer gateway" }));
			gateway.send(12, FrameClass.FILE, "first");
			await gateway.take(FrameClass.FILE, 1);
			gateway.sockets.control.write(linkFrame({ type: "client_joined", client: 12 }));
			const { joined, left, clients } = await report(gateway);
			expect([...joined].sort((a, b) => a - b)).toEqual([7, 9, 12, 4_294_967_295]);
			expect(left).toEqual([9]);
			expect([...clients].sort((a, b) => a - b)).toEqual([7, 12, 4_294_967_295]);
			// What client 9 had sent before it left is on the other connection: it does not come back by that.
			gateway.send(9, FrameClass.FILE, "last words");
			gateway.send(7, FrameClass.FILE, "after");
			await gateway.take(FrameClass.FILE, 1);
			expect((await report(gateway)).clients).not.toContain(9);
		});

		it("pairs the connections of two gateways by the gateway's id, in whatever order they come, and sends to the clients of both", async () => {
			const port = await start();
			const [one, two] = [await dial(port), await dial(port)];
			two.sockets.data.write(helloFrame("data", "00000000000000bb"));
			one.sockets.control.write(helloFrame("control", "00000000000000aa"));
			one.sockets.data.write(helloFrame("data", "00000000000000aa"));
			two.sockets.control.write(helloFrame("control", "00000000000000bb"));
			for (const gateway of [one, two]) {
				gateway.send(7, FrameClass.FILE, "hi");
				await gateway.take(FrameClass.FILE, 1);
			}
			expect(await report(one)).toMatchObject({ gateways: 2, up: 2, down: 0, clients: [7, 7] });
			one.forget();
			one.order(7, { do: "floodAll", frameClass: FrameClass.CONTROL, count: 3 });
			for (const gateway of [one, two])
				expect((await gateway.take(FrameClass.CONTROL, 3)).map(({ client, body }) => `${client} ${body}`)).toEqual(["0 0", "0 1", "0 2"]);
		});

		it("reads nothing but the hello before it has both connections", async () => {
			const port = await start();
			const [gateway, other] = [await dial(port), await open(port, "00000000000000bb")];
			gateway.sockets.data.write(Buffer.concat([helloFrame("data", "00000000000000aa"), encodeFrame(7, FrameClass.FILE, "early", 1)]));
			// Once it has answered this, it has read the other as well.
			expect(await report(other)).toMatchObject({ up: 1, joined: [7, 9] });
			gateway.sockets.control.write(helloFrame("control", "00000000000000aa"));
			expect((await gateway.take(FrameClass.FILE, 1))[0]).toMatchObject({ client: 7, body: Buffer.from("early") });
		});

		it("answers a ping", async () => {
			const gateway = await open(await start());
			gateway.sockets.control.write(linkFrame({ type: "ping" }));
			const [pong] = await gateway.take(FrameClass.LINK, 1);
			expect({ ...pong, body: JSON.parse(pong!.body.toString()) }).toEqual({
				link: "control",
				client: 0,
				backend: 0,
				frameClass: FrameClass.LINK,
				body: { type: "pong" },
			});
		});

		it("reads frames that are split at every byte, and byte by byte", async () => {
			const gateway = await open(await start());
			const bytes = Buffer.concat([
				encodeFrame(7, FrameClass.FILE, "one"),
				encodeFrame(9, FrameClass.FILE, ""),
				encodeFrame(7, FrameClass.FILE, "three"),
			]);
			const isRight = async (): Promise<void> => {
				expect((await gateway.take(FrameClass.FILE, 3)).map(({ client, body }) => `${client} ${body}`)).toEqual(["7 one", "9 ", "7 three"]);
			};
			const { data } = gateway.sockets;
			for (let at = 1; at < bytes.length; at++) {
				data.write(bytes.subarray(0, at));
				// Its answer on the other connection: it has read the first part before the second is sent.
				gateway.sockets.control.write(linkFrame({ type: "ping" }));
				await waitFor(() => gateway.of(FrameClass.LINK).length === 1, { deadlineMs: 10_000, what: "pong" });
				data.write(bytes.subarray(at));
				await isRight();
			}
			for (const byte of bytes) await new Promise((resolve) => data.write(Buffer.from([byte]), resolve));
			await isRight();
		});

		it.each([
			["0", 0],
			["maxFrame + 1", (1 << 20) + 1],
			["4 GiB - 1", 0xffffffff],
		])("ends both connections at a length of %s, and says why; other gateways continue", async (_, length) => {
			const port = await start();
			const [bad, good] = [await open(port), await open(port, "00000000000000bb")];
			await report(bad);
			const head = Buffer.alloc(12);
			head.writeUInt32BE(length, 0);
			bad.sockets.data.write(head);
			await bad.isClosed();
			const { problems, stats, gateways: open_, down } = await report(good);
			expect(problems).toEqual([expect.stringContaining(`a payload of ${length} bytes; from 1 to 1048576 are allowed`)]);
			expect({ broken: stats.brokenConnections, open: open_, down }).toEqual({ broken: 1, open: 1, down: 1 });
		});

		it("takes the longest frame, and refuses to send a longer one", async () => {
			const gateway = await open(await start());
			const body = Buffer.alloc((1 << 20) - 1, "x");
			gateway.send(7, FrameClass.FILE, body);
			const [answer] = await gateway.take(FrameClass.FILE, 1);
			expect(answer!.body.equals(body)).toBe(true);
			gateway.order(7, { do: "fill", frameClass: FrameClass.FILE, bytes: 1 << 20 });
			expect((await report(gateway)).problems).toEqual([expect.stringMatching(/a payload of 1048577 bytes is longer than max_?[fF]rame/)]);
			expect(gateway.of(FrameClass.FILE)).toEqual([]);
		});

		it.each([
			["another program", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "a payload of 1195725856 bytes"],
			["no hello", linkFrame({ type: "hi", version: 1, link: "control", gateway: "00000000000000bb" }), "did not begin with a hello"],
			["a CONTROL frame", encodeFrame(7, FrameClass.CONTROL, "hi"), "did not begin with a hello"],
			["another version", helloFrame("control", "00000000000000bb", { version: 2 }), "speaks version 2, and this backend version 1"],
			["no JSON", encodeFrame(0, FrameClass.LINK, "{"), ""],
		])("ends a connection that begins with %s", async (_, bytes, problem) => {
			const port = await start();
			const [other, gateway] = [await dial(port), await open(port)];
			other.sockets.control.write(bytes);
			await waitFor(() => other.sockets.control.closed, { deadlineMs: 10_000, what: "its end" });
			expect((await report(gateway)).problems).toEqual([expect.stringContaining(problem)]);
		});

		it("ends a connection whose other half does not come", { tags: ["long"] }, async () => {
			const port = await start();
			const [half, gateway] = [await dial(port), await open(port)];
			half.sockets.control.write(helloFrame("control", "00000000000000bb"));
			await half.isClosed();
			expect(new Set((await report(gateway)).problems)).toEqual(new Set(["a connection did not become a pair in time"]));
		});

		it("closes the other connection when one ends, tells that its clients have left, and takes the gateway again", async () => {
			const port = await start();
			for (const link of ["control", "data"] as const) {
				const gateway = await open(port);
				await report(gateway);
				gateway.sockets[link].destroy();
				await gateway.isClosed();
			}
			const again = await open(port);
			expect(await report(again)).toMatchObject({ up: 3, down: 2, joined: [7, 9, 7, 9, 7, 9], left: [7, 9, 7, 9], clients: [7, 9] });
		});

		it("takes a gateway that comes again before its old connections have ended", async () => {
			const port = await start();
			const old = await open(port);
			await report(old);
			const again = await open(port);
			await old.isClosed();
			expect(await report(again)).toMatchObject({ gateways: 1, up: 2, down: 1 });
		});

		it("passes a thousand frames of each class both ways, each once and in order", async () => {
			const gateway = await open(await start());
			const numbers = Array.from({ length: 1000 }, (_, number) => String(number));
			for (const frameClass of [FrameClass.CONTROL, FrameClass.VIDEO, FrameClass.ACK, FrameClass.FILE]) {
				for (const number of numbers) gateway.send(7, frameClass, number);
				expect((await gateway.take(frameClass, 1000)).map(({ body }) => body.toString())).toEqual(numbers);
				gateway.order(9, { do: "flood", frameClass, count: 1000 });
				const flood = await gateway.take(frameClass, 1000);
				expect(flood.map(({ body }) => body.toString())).toEqual(numbers);
				expect(new Set(flood.map(({ client }) => client))).toEqual(new Set([9]));
			}
			const { stats } = await report(gateway);
			// The orders, the last report among them, are frames as well; the report counts its answer only after it was written.
			expect(stats).toMatchObject({ framesIn: 4005, framesOut: 8000, refused: 0, videoDropped: 0 });
		});

		it.each([
			["FILE", FrameClass.FILE, 4 << 20],
			["VIDEO", FrameClass.VIDEO, 256 << 10],
		])("takes no more %s once its queue is full, says so, and delivers when there is room again", async (name, frameClass, queueBytes) => {
			const gateway = await open(await start());
			await report(gateway);
			gateway.forget();
			const bytes = 64 << 10;
			gateway.sockets.data.pause();
			const { taken } = await gateway.ask<{ taken: number }>(7, { do: "fill", frameClass, bytes });
			expect(taken).toBeGreaterThanOrEqual(queueBytes / bytes);
			// Its queue, what the kernel keeps, and no more.
			expect(taken * bytes).toBeLessThan(queueBytes + (32 << 20));
			gateway.sockets.data.resume();
			const frames = await gateway.take(frameClass, taken + 1);
			expect(frames.slice(0, -1).every(({ body }) => body.length === bytes)).toBe(true);
			expect(frames.at(-1)!.body.toString()).toBe("there was room again");
			const { stats } = await report(gateway);
			expect(stats.refused).toBeGreaterThanOrEqual(1);
			expect(stats.videoDropped).toBe(name === "VIDEO" ? stats.refused : 0);
		});

		it("reads no further while a handler is busy, on that connection only, and loses nothing", async () => {
			const gateway = await open(await start());
			await gateway.ask(7, { do: "report" });
			gateway.order(7, { do: "hold" });
			const body = Buffer.alloc(1 << 19, "x");
			for (let count = 0; count < 100; count++) gateway.send(7, FrameClass.FILE, body);
			// 50 MiB are more than the kernel keeps.
			const { stats } = await report(gateway);
			expect(stats.framesIn).toBeLessThanOrEqual(4);
			expect(gateway.sockets.data.writableLength).toBeGreaterThan(0);
			gateway.order(7, { do: "release" });
			const echoes = await gateway.take(FrameClass.FILE, 100);
			expect(echoes.every((echo) => echo.body.equals(body))).toBe(true);
		});

		it("survives a handler that fails", async () => {
			const gateway = await open(await start());
			gateway.order(7, { do: "fail" });
			expect(await report(gateway)).toMatchObject({ problems: ["the handler has failed"], stats: { handlerErrors: 1 }, down: 0 });
		});

		it("refuses to send text, which would put the gateway out of step", async () => {
			const gateway = await open(await start());
			gateway.order(7, { do: "text" });
			expect(await report(gateway)).toMatchObject({ problems: [expect.stringMatching(/bytes/)], stats: { handlerErrors: 1 }, down: 0 });
		});

		it("checks what is sent to a client that has left as well", async () => {
			const gateway = await open(await start());
			await report(gateway);
			gateway.sockets.control.write(linkFrame({ type: "client_left", client: 9 }));
			const mistakes = await gateway.ask<string[]>(7, { do: "mistakes", to: 9 });
			expect(mistakes).toEqual(
				[/^there is no class 99 to send/, /^a body is bytes/, /^a payload of 1048577 bytes is longer than max_?[fF]rame, 1048576$/]
					.flatMap((error) => [error, error])
					.map((error) => expect.stringMatching(error)),
			);
		});

		/** Where its announcements arrive. */
		async function listener(): Promise<{ to: string; datagrams: Record<string, unknown>[] }> {
			const socket = createSocket("udp4");
			udp.push(socket);
			const datagrams: Record<string, unknown>[] = [];
			socket.on("message", (bytes) => datagrams.push(JSON.parse(bytes.toString()) as Record<string, unknown>));
			socket.bind(0, "127.0.0.1");
			await once(socket, "listening");
			return { to: `127.0.0.1:${socket.address().port}`, datagrams };
		}

		it.each([[], ["a-secret-of-the-tests"]])("announces itself, and its end (secret: %s)", async (...secret) => {
			const { to, datagrams } = await listener();
			const port = await start(to, ...secret);
			const isSigned = ({ time, nonce, signature, leaving = false }: Record<string, unknown>): void => {
				const text = ["shardcast backend 1", "", port, "conformance", time, nonce, leaving].join("\n");
				expect(signature).toBe(secret.length === 0 ? undefined : createHmac("sha256", secret[0]!).update(text).digest("hex"));
				expect(nonce).toMatch(/^[\w-]{16,64}$/);
				expect(Math.abs(Date.now() - (time as number))).toBeLessThan(30_000);
			};
			await waitFor(() => datagrams.length > 0, { deadlineMs: 10_000, what: "an announcement" });
			expect(datagrams[0]).toMatchObject({ shardcast: "backend", version: 1, port, name: "conformance" });
			expect(datagrams[0]).not.toHaveProperty("leaving");
			isSigned(datagrams[0]!);
			const gateway = await open(port);
			gateway.order(7, { do: "close" });
			await waitFor(() => datagrams.some(({ leaving }) => leaving === true), { deadlineMs: 10_000, what: "its goodbye" });
			isSigned(datagrams.at(-1)!);
			expect(new Set(datagrams.map(({ nonce }) => nonce)).size).toBe(datagrams.length);
			await gateway.isClosed();
			await waitFor(() => child.exitCode === 0, { deadlineMs: 10_000, what: `its end\n${output}` });
		});

		it("close() loses nothing of what was sent on either connection, also to a gateway that reads slowly", async () => {
			const gateway = await open(await start());
			const { control, data } = gateway.sockets;
			for (const socket of [control, data]) socket.pause();
			// More than the system takes for a connection that nobody reads.
			gateway.order(7, { do: "farewell", count: 200, bytes: 20_000 });
			await waitFor(() => output.includes("closing"), { deadlineMs: 10_000, what: `that it closes\n${output}` });
			// It has more to say, which the backend must have read.
			for (let number = 0; number < 100; number++) gateway.send(9, FrameClass.FILE, Buffer.alloc(1000));
			for (const socket of [control, data]) socket.resume();
			await gateway.isClosed();
			const all = Array.from({ length: 200 }, (_, number) => number);
			for (const frameClass of [FrameClass.CONTROL, FrameClass.FILE])
				expect(gateway.of(frameClass).map(({ body }) => body.readUInt32BE())).toEqual(all);
			await waitFor(() => output.includes("closed"), { deadlineMs: 3000, what: `that it has closed\n${output}` });
		});

		it.each([[["control"]], [["data"]], [["control", "data"]]] as const)(
			"a gateway that ends its side of %s, as it does when the backend is removed, gets all that was sent before",
			async (links) => {
				const port = await start();
				const gateway = await open(port);
				gateway.sockets.data.pause();
				const bytes = 64 << 10;
				const { taken } = await gateway.ask<{ taken: number }>(7, { do: "fill", frameClass: FrameClass.FILE, bytes });
				for (const link of links) gateway.sockets[link].end();
				// In which a library that gives up what waits would do so.
				await new Promise((resolve) => setTimeout(resolve, 300));
				gateway.sockets.data.resume();
				await gateway.isClosed();
				expect(gateway.of(FrameClass.FILE).filter(({ body }) => body.length === bytes)).toHaveLength(taken);
				const { problems, up, down } = await report(await open(port));
				expect({ problems, up, down }).toEqual({ problems: [], up: 2, down: 1 });
			},
		);

		it("announces itself every five seconds", { tags: ["long"] }, async () => {
			const { to, datagrams } = await listener();
			await start(to);
			await waitFor(() => datagrams.length === 1, { deadlineMs: 10_000, what: "an announcement" });
			const beganMs = performance.now();
			await waitFor(() => datagrams.length === 2, { deadlineMs: 10_000, what: "a second one" });
			expect(performance.now() - beganMs).toBeGreaterThan(3000);
		});
	});

it.skipIf(isMissing("python3"))("the Python library is written for 3.8", () => {
	const parse = "import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 8))";
	execFileSync("python3", ["-c", parse], { input: readFileSync(join(examples, "gateway_backend.py")) });
});
