import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuMs, freePorts, LibraryClient, ManagedProcess, waitFor } from "@shardcast/testkit";

const packages = ["socket.io@4.8.4", "@socket.io/redis-streams-adapter@0.3.1", "redis@5.12.1"];
const installMs = 180_000;

/** Installs Socket.IO from npm into a temporary folder: this project does not depend on it. @returns null, with a line that says so, without npm's registry. */
export function installSocketIo(ends: (() => Promise<void>)[]): string | null {
	const folder = mkdtempSync(join(tmpdir(), "bench-socket-io-"));
	ends.push(async () => rmSync(folder, { recursive: true }));
	writeFileSync(join(folder, "package.json"), '{ "private": true }');
	try {
		execFileSync("npm", ["install", "--no-audit", "--no-fund", "--silent", ...packages], {
			cwd: folder,
			stdio: "pipe",
			timeout: installMs,
		});
		return folder;
	} catch (error) {
		console.error(`bench: SOCKET.IO IS LEFT OUT: npm could not install it: ${(error as Error).message}`);
		return null;
	}
}

export interface SocketIoServer {
	readonly port: number;
	readonly httpUrl: string;
	readonly servers: { cpuMs(): number };
}

/** One process. */
export async function startSocketIo(folder: string, redisUrl: string, ends: (() => Promise<void>)[]): Promise<SocketIoServer> {
	const port = await freePorts();
	const server = await ManagedProcess.start(join(import.meta.dirname, "server-program.js"), [folder, String(port), redisUrl]);
	ends.push(async () => void (await server.stop()));
	await server.waitForOutput(/listening on/, 20_000);
	return { port, httpUrl: `http://127.0.0.1:${port}`, servers: { cpuMs: () => cpuMs(server.pid) } };
}

const event = '42["message",';

/** A client of Socket.IO without its library, as the clients of the other variants are bare WebSockets. It answers pings. */
export class SocketIoClient {
	received = 0;
	onMessage: (data: string) => void = () => {};
	readonly #client: LibraryClient;

	private constructor(client: LibraryClient) {
		this.#client = client;
		client.onMessage = ({ bytes }) => {
			const text = bytes.toString();
			if (text === "2") client.send("3");
			if (!text.startsWith(event)) return;
			this.received++;
			this.onMessage(JSON.parse(text.slice(2))[1] as string);
		};
	}

	static async open({ port }: SocketIoServer, channel: string): Promise<SocketIoClient> {
		const client = await LibraryClient.open(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket&channel=${channel}`);
		const opened = new SocketIoClient(client);
		client.send("40");
		await waitFor(() => client.texts().some((text) => text.startsWith("40{")), { deadlineMs: 5000, what: "Socket.IO's connect answer" });
		return opened;
	}

	send(data: string): void {
		this.#client.send(`${event}${JSON.stringify(data)}]`);
	}

	close(): Promise<void> {
		return this.#client.close();
	}
}
