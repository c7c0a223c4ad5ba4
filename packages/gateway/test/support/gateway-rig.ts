import { createHmac } from "node:crypto";
import type { Socket } from "node:net";
import { type Config, defaultConfig, loadCertificates } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { Scrape, waitFor } from "@shardcast/testkit";
import { afterEach } from "vitest";
import WebSocket, { type ClientOptions } from "ws";
import { Gateway } from "../../src/gateway.ts";
import type { GatewayReport } from "../../src/monitor/gateway-report.ts";
import { FakeBackend } from "./fake-backend.ts";

export interface ReceivedMessage {
	readonly clientId: number;
	readonly backendId: number;
	readonly frameClass: number;
	/** Without the class. */
	readonly content: Buffer;
}

/** A WebSocket message for the gateway, which writes the client's id into it. */
function messageBytes(frameClass: number, backendId: number, content: string | Buffer): Buffer {
	const body = Buffer.from(content as string);
	const bytes = Buffer.alloc(9 + body.length);
	bytes.writeUInt32BE(backendId, 4);
	bytes[8] = frameClass;
	body.copy(bytes, 9);
	return bytes;
}

/** A connection token, signed with HS256. */
export function tokenOf(user: string, secret: string, claims: object = {}): string {
	const signed = [{ alg: "HS256" }, { sub: user, ...claims }]
		.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
		.join(".");
	return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** A client with the library ws. */
export class RigClient {
	readonly socket: WebSocket;
	readonly messages: ReceivedMessage[] = [];
	closed: { readonly code: number; readonly reason: string } | null = null;
	/** Called with each frame that is not of class LINK. */
	onFrame: ((frame: ReceivedMessage) => void) | null = null;

	constructor(url: string, options: ClientOptions = {}) {
		this.socket = new WebSocket(url, options);
		this.socket.on("message", (data: Buffer) => {
			const message = {
				clientId: data.readUInt32BE(0),
				backendId: data.readUInt32BE(4),
				frameClass: data[8]!,
				content: data.subarray(9),
			};
			if (this.onFrame !== null && message.frameClass !== 0) this.onFrame(message);
			else this.messages.push(message);
		});
		this.socket.on("close", (code, reason) => {
			this.closed = { code, reason: reason.toString() };
		});
		this.socket.on("error", () => {});
	}

	/** What the gateway itself has told. */
	get told(): { readonly type: string; readonly [name: string]: unknown }[] {
		return this.messages.filter(({ frameClass }) => frameClass === 0).map(({ content }) => JSON.parse(content.toString()));
	}

	/** Frames that are not of class LINK. */
	get frames(): ReceivedMessage[] {
		return this.messages.filter(({ frameClass }) => frameClass !== 0);
	}

	get texts(): string[] {
		return this.frames.map(({ content }) => content.toString());
	}

	get id(): number {
		return this.told[0]!.client as number;
	}

	async welcome(): Promise<this> {
		await waitFor(() => this.told.length > 0, { deadlineMs: 5000, what: "the welcome" });
		return this;
	}

	send(frameClass: number, backendId: number, content: string | Buffer = ""): void {
		this.socket.send(messageBytes(frameClass, backendId, content));
	}

	/** Writes all that `send` sends at once, so that one turn of the gateway reads hundreds of frames. */
	burst(send: () => void): void {
		const { _socket: tcp } = this.socket as unknown as { readonly _socket: Socket };
		tcp.cork();
		send();
		tcp.uncork();
	}

	/** Stops reading from the connection. */
	pause(): void {
		this.socket.pause();
	}

	async closing(): Promise<{ readonly code: number; readonly reason: string }> {
		return waitFor(() => this.closed, { deadlineMs: 10_000, what: "the client is closed" });
	}
}

const closing = { deadlineMs: 5000 };

/** A gateway in this process, with backends. `stop` must be called. */
export class GatewayRig {
	readonly gateway: Gateway;
	readonly port: number;
	readonly backends: FakeBackend[];
	readonly #clients: RigClient[] = [];

	private constructor(gateway: Gateway, port: number, backends: FakeBackend[]) {
		this.gateway = gateway;
		this.port = port;
		this.backends = backends;
	}

	/** @param backends as many as are to be opened, or those that there are. */
	static async start(config: Partial<Config> = {}, backends: number | FakeBackend[] = 1): Promise<GatewayRig> {
		const opened = typeof backends === "number" ? await Promise.all(Array.from({ length: backends }, () => FakeBackend.open())) : backends;
		const whole = defaultConfig({
			gatewayAddr: "127.0.0.1:0",
			gatewayBackends: opened.map(({ port }) => `127.0.0.1:${port}`),
			backendReconnectMinMs: 20,
			backendReconnectMaxMs: 50,
			// A backend may be away for more failures than open the breaker.
			breakerOpenMs: 100,
			shutdownTimeoutMs: 2000,
			logLevel: "silent",
			...config,
		});
		const { certificates } = loadCertificates(whole, (name) => name);
		const gateway = new Gateway({ config: whole, certificates, log: silentLog() });
		const rig = new GatewayRig(gateway, await gateway.start(), opened);
		await rig.up(opened.length);
		return rig;
	}

	get report(): GatewayReport {
		return this.gateway.report();
	}

	/** Waits until this many backends are connected. */
	async up(count: number): Promise<void> {
		await waitFor(() => this.report.backends.filter(({ isUp }) => isUp).length === count, { deadlineMs: 5000, what: `${count} backends` });
	}

	open(options: ClientOptions = {}, query = ""): RigClient {
		const client = new RigClient(`ws://127.0.0.1:${this.port}/${query}`, options);
		this.#clients.push(client);
		return client;
	}

	/** A client that has been welcomed. */
	async client(): Promise<RigClient> {
		return this.open().welcome();
	}

	/** The value of a metric, summed over the lines with these labels. Rejects when there is none. */
	async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
		return new Scrape(await this.gateway.metrics()).sum(name, labels);
	}

	async stop(): Promise<void> {
		for (const { socket } of this.#clients) socket.terminate();
		await waitFor(() => this.#clients.every(({ socket }) => socket.readyState === WebSocket.CLOSED), { ...closing, what: "clients" });
		await this.gateway.stop();
		await Promise.all(this.backends.map((backend) => backend.close()));
	}
}

/** Starts gateways that are stopped after each test of the file. `opened` takes more that has to be. */
export function gatewayRigs() {
	const opened: { stop(): unknown }[] = [];
	afterEach(async () => {
		for (const each of opened.splice(0).reverse()) await each.stop();
	});
	const start = async (...parts: Parameters<typeof GatewayRig.start>): Promise<GatewayRig> => {
		const rig = await GatewayRig.start(...parts);
		opened.push(rig);
		return rig;
	};
	return { opened, start };
}
