import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Config } from "@shardcast/config";
import { waitFor } from "@shardcast/testkit";
import WebSocket from "ws";
import { EdgeRig } from "./edge-rig.ts";
import { FakeNode } from "./fake-node.ts";

export const upgrade =
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
export const soon = { deadlineMs: 10_000 };
/** What `stopAll` stops, the last first. */
export const opened: { stop(): unknown }[] = [];

export async function stopAll(): Promise<void> {
	for (const each of opened.splice(0).reverse()) await each.stop();
}

export async function node(name: string, options?: Parameters<typeof FakeNode.start>[1]): Promise<FakeNode> {
	const started = await FakeNode.start(name, options);
	opened.push(started);
	return started;
}

/** An edge in front of these nodes, all of which get clients. */
export async function edge(nodes: readonly FakeNode[], config: Partial<Config> = {}): Promise<EdgeRig> {
	const rig = await EdgeRig.start({ edgeNodes: nodes.map(({ address }) => address), selectStrategy: "round_robin", ...config });
	opened.push(rig);
	await rig.nodesUp(nodes.length);
	return rig;
}

export interface Client {
	readonly socket: WebSocket;
	readonly answers: string[];
	/** Name of the node that answers. */
	nodeName(): Promise<string>;
}

export async function client(rig: EdgeRig, path = "/", scheme = "ws"): Promise<Client> {
	const socket = new WebSocket(`${scheme}://127.0.0.1:${rig.port}${path}`, { rejectUnauthorized: false });
	opened.push({ stop: () => socket.terminate() });
	const answers: string[] = [];
	socket.on("message", (data: Buffer) => answers.push(data.length < 100 ? String(data) : `${data.length} bytes`));
	socket.on("error", () => {});
	await once(socket, "open");
	const nodeName = async () => {
		socket.send("who");
		const count = answers.length + 1;
		await waitFor(() => answers.length >= count, { ...soon, what: "an answer" });
		return answers.at(-1)!.split(":")[0]!;
	};
	return { socket, answers, nodeName };
}

export function raw(rig: EdgeRig): { readonly socket: Socket; text(): string } {
	const socket = connect({ port: rig.port, host: "127.0.0.1", allowHalfOpen: true });
	opened.push({ stop: () => socket.destroy() });
	let text = "";
	socket.on("data", (piece: Buffer) => {
		text += piece.toString("latin1");
	});
	socket.on("error", () => {});
	return { socket, text: () => text };
}
