import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { freePorts, httpRequest, ManagedProcess, startGuard, waitFor } from "@shardcast/testkit";
import { afterEach, expect, it } from "vitest";
import WebSocket from "ws";

const root = join(import.meta.dirname, "../../../..");
const page = readFileSync(join(root, "docs/reference/gateway-protocol.md"), "utf8");
/** The frames of the example on the page, in its order. */
const [fromClient, toBackend, fromBackend, toClient, acknowledgement] = [
	...page.matchAll(/^ *((?:[\da-f]{8} +)+[\da-f]{2} [\da-f]+)$/gm),
].map(([, hex]) => Buffer.from(hex!.replaceAll(" ", ""), "hex")) as [Buffer, Buffer, Buffer, Buffer, Buffer];
/** As JSON: the messages in the tables of the page. */
const documented = [...page.matchAll(/^\| `(\{"type".*?\})` \|/gm)].map(([, json]) => JSON.parse(json!) as Record<string, unknown>);
const shapeOf = (type: string): string[] => Object.keys(documented.find((each) => each.type === type)!);

let gateway: ManagedProcess | undefined;
const libraries: ChildProcess[] = [];
const servers: Server[] = [];
const sockets: (Socket | WebSocket)[] = [];
afterEach(async () => {
	for (const socket of sockets.splice(0)) "terminate" in socket ? socket.terminate() : socket.destroy();
	await gateway?.stop();
	for (const server of servers.splice(0)) server.close();
	for (const library of libraries.splice(0)) {
		library.kill("SIGKILL");
		await once(library, "exit");
	}
});

/** Collects all that a gateway writes to a backend, by connection. */
async function backend(): Promise<TestBackend> {
	const connections: { socket: Socket; bytes: Buffer }[] = [];
	const server = createServer((socket) => {
		const connection = { socket, bytes: Buffer.alloc(0) };
		connections.push(connection);
		sockets.push(socket);
		socket.on("error", () => {});
		socket.on("data", (data) => {
			connection.bytes = Buffer.concat([connection.bytes, data]);
		});
	});
	servers.push(server);
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return { port: (server.address() as AddressInfo).port, connections };
}
/** The frames in it, with their lengths. */
function framesIn(bytes: Buffer): Buffer[] {
	const frames: Buffer[] = [];
	for (let at = 0; at + 12 <= bytes.length; at += 12 + bytes.readUInt32BE(at))
		frames.push(bytes.subarray(at, at + 12 + bytes.readUInt32BE(at)));
	return frames;
}
const jsonOf = (frame: Buffer, at: number) => JSON.parse(frame.subarray(at).toString()) as Record<string, unknown>;

interface TestBackend {
	readonly port: number;
	readonly connections: { socket: Socket; bytes: Buffer }[];
}

async function startGateway(backendPorts: readonly number[], flags: readonly string[]): Promise<number> {
	const port = await freePorts();
	const addresses = [port, ...backendPorts].map((each) => `127.0.0.1:${each}`);
	gateway = await ManagedProcess.start(join(root, "apps/supervisor/dist/main.js"), ["gateway", ...addresses, ...flags]);
	await gateway.waitForOutput(/shardcast gateway, pid/, 20_000);
	return port;
}

/** A gateway with these backends. @returns its port, once all are connected */
async function start(backends: readonly TestBackend[]): Promise<number> {
	// On a slow machine as well, only the acknowledgement lets the next frame through.
	const port = await startGateway(
		backends.map((each) => each.port),
		["--ack-timeout", "10m"],
	);
	await waitFor(() => backends.every(({ connections }) => connections.filter(({ bytes }) => bytes.length > 0).length === 2), {
		deadlineMs: 20_000,
		what: "two connections to each backend",
	});
	return port;
}

function controlOf({ connections }: TestBackend): { socket: Socket; bytes: Buffer } {
	return connections.find(({ bytes }) => framesIn(bytes).some((frame) => frame[12] === 0 && jsonOf(frame, 13).link === "control"))!;
}

async function connect(port: number): Promise<{ client: WebSocket; id: number; messages: Buffer[] }> {
	const client = new WebSocket(`ws://127.0.0.1:${port}`);
	sockets.push(client);
	const messages: Buffer[] = [];
	client.on("message", (data: Buffer) => messages.push(data));
	await once(client, "open");
	const welcome = await waitFor(() => messages[0], { deadlineMs: 10_000, what: "welcome" });
	expect(Object.keys(jsonOf(welcome, 9))).toEqual(shapeOf("welcome"));
	return { client, id: jsonOf(welcome, 9).client as number, messages };
}

it("the example of the protocol's page is what passes, and its messages are the gateway's", async () => {
	const backends = [await backend(), await backend(), await backend()];
	const { client, id, messages } = await connect(await start(backends));
	const control = controlOf(backends[2]!);
	/** The example with this client instead of client 7. */
	const ours = (frame: Buffer, at: number): Buffer => {
		const copy = Buffer.from(frame);
		expect(copy.readUInt32BE(at)).toBe(7);
		copy.writeUInt32BE(id, at);
		return copy;
	};

	client.send(fromClient);
	const arrived = await waitFor(() => framesIn(control.bytes).find((frame) => frame[12] === 1), { deadlineMs: 10_000, what: "its frame" });
	expect(arrived.toString("hex")).toBe(ours(toBackend, 4).toString("hex"));
	for (const frame of framesIn(control.bytes).filter((each) => each[12] === 0)) {
		const message = jsonOf(frame, 13);
		expect(Object.keys(message)).toEqual(shapeOf(message.type as string));
	}

	control.socket.write(ours(fromBackend, 4));
	const answer = await waitFor(() => messages.find((message) => message[8] === 1), { deadlineMs: 10_000, what: "the answer" });
	expect(answer.toString("hex")).toBe(ours(toClient, 0).toString("hex"));

	// With a window of one, the second VIDEO frame comes when the first is acknowledged.
	const video = (text: string): Buffer => {
		const body = Buffer.from(`\x02${text}`);
		const frame = Buffer.concat([ours(fromBackend, 4).subarray(0, 12), body]);
		frame.writeUInt32BE(body.length, 0);
		return frame;
	};
	const shown = (): string[] => messages.filter((message) => message[8] === 2).map((message) => message.subarray(9).toString());
	control.socket.write(video("first"));
	await waitFor(() => shown().length > 0, { deadlineMs: 10_000, what: "a VIDEO frame" });
	control.socket.write(Buffer.concat([video("skipped"), video("newest"), ours(fromBackend, 4)]));
	await waitFor(() => messages.filter((message) => message[8] === 1).length === 2, { deadlineMs: 10_000, what: "what came after them" });
	expect(shown()).toEqual(["first"]);
	client.send(acknowledgement);
	await waitFor(() => shown().length === 2, { deadlineMs: 10_000, what: "the next VIDEO frame" });
	expect(shown()).toEqual(["first", "newest"]);
});

it("neither a client nor a backend can send in the name of another", async () => {
	const backends = [await backend(), await backend()];
	const port = await start(backends);
	const [one, two] = [await connect(port), await connect(port)];
	const control = controlOf(backends[1]!);
	const message = Buffer.from(fromClient);
	message.writeUInt32BE(two.id, 0);
	message.writeUInt32BE(2, 4);
	one.client.send(message);
	const arrived = await waitFor(() => framesIn(control.bytes).find((frame) => frame[12] === 1), { deadlineMs: 10_000, what: "its frame" });
	expect(arrived.readUInt32BE(4)).toBe(one.id);
	const frame = Buffer.from(fromBackend);
	frame.writeUInt32BE(two.id, 4);
	frame.writeUInt32BE(1, 8);
	control.socket.write(frame);
	const answer = await waitFor(() => two.messages.find((each) => each[8] === 1), { deadlineMs: 10_000, what: "the answer" });
	expect(answer.readUInt32BE(4)).toBe(2);
	expect(one.messages.some((each) => each[8] === 1)).toBe(false);
});

it("the libraries in examples/gateway speak with a gateway, and answer its pings", async () => {
	const commands = [[process.execPath, "conformance.mjs"]];
	if (spawnSync("python3", ["--version"]).status === 0) commands.push(["python3", "conformance.py"]);
	const ports: number[] = [];
	for (const [command, program] of commands) {
		const library = spawn(command!, [join(import.meta.dirname, "programs", program!)], { stdio: ["ignore", "pipe", "inherit"] });
		libraries.push(library);
		const guard = startGuard(library.pid!);
		library.once("exit", () => guard.kill("SIGKILL"));
		const [said] = (await once(library.stdout!, "data")) as [Buffer];
		ports.push(Number(/listening on (\d+)/.exec(said.toString())![1]));
	}
	const port = await startGateway(ports, ["--backend-idle-timeout", "4s"]);
	const backends = async (): Promise<{ isUp: boolean; ups: number; sentFrames: number }[]> =>
		JSON.parse((await httpRequest(`http://127.0.0.1:${port}/health`)).body).backends;
	await waitFor(async () => (await backends()).every(({ isUp }) => isUp), { deadlineMs: 20_000, what: "the backends" });
	const { client, id, messages } = await connect(port);
	for (let backendId = 1; backendId <= ports.length; backendId++)
		for (const frameClass of [1, 2, 4]) {
			const frame = Buffer.from([0, 0, 0, 0, 0, 0, 0, backendId, frameClass, ...Buffer.from("héllo")]);
			client.send(frame);
			const echo = await waitFor(() => messages.find((each) => each.readUInt32BE(4) === backendId && each[8] === frameClass), {
				deadlineMs: 10_000,
				what: `frame ${frameClass} from backend ${backendId}`,
			});
			frame.writeUInt32BE(id, 0);
			expect(echo.toString("hex")).toBe(frame.toString("hex"));
		}
	// Nothing else is said from here on, for longer than the idle timeout.
	const before = await backends();
	await waitFor(async () => (await backends()).every(({ sentFrames }, index) => sentFrames >= before[index]!.sentFrames + 3), {
		deadlineMs: 20_000,
		what: "three pings",
	});
	expect((await backends()).map(({ ups }) => ups)).toEqual(ports.map(() => 1));
});
