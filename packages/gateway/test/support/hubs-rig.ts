import { type BusLink, MemoryBus } from "@shardcast/bus";
import { type Config, defaultConfig } from "@shardcast/config";
import type { BackendPlace } from "@shardcast/control";
import { silentLog } from "@shardcast/telemetry";
import { waitFor } from "@shardcast/testkit";
import type { LinkOptions } from "../../src/backends/link-options.ts";
import type { GatewayTransport } from "../../src/clients/client-output.ts";
import { GatewayClient } from "../../src/clients/gateway-client.ts";
import { GatewayHub } from "../../src/routing/gateway-hub.ts";
import { linkOptionsOf } from "../../src/routing/link-options-of.ts";
import type { FakeBackend } from "./fake-backend.ts";
import type { ReceivedMessage } from "./gateway-rig.ts";
import { closing } from "./leaves-nothing.ts";

/** A client whose WebSocket takes what it is given, or nothing while it is `slow`. */
export class HubClient {
	readonly hub: GatewayHub;
	readonly client: GatewayClient;
	readonly messages: ReceivedMessage[] = [];
	closed: string | null = null;
	/** Called instead of keeping a frame that is not of class LINK. */
	onFrame: ((frame: ReceivedMessage) => void) | null = null;
	#isSlow = false;
	#buffered = 0;

	constructor(hub: GatewayHub) {
		this.hub = hub;
		this.client = new GatewayClient(hub, { addressSlot: 0, forwarded: null }, null);
		const transport = {
			getBufferedAmount: () => this.#buffered,
			cork: (callback: () => void) => callback(),
			send: (bytes: Uint8Array) => {
				if (this.#isSlow) this.#buffered += bytes.length;
				this.#take(Buffer.from(bytes));
				return 1;
			},
			end: (code: number, reason: string) => {
				this.closed = `${code} ${reason}`;
				setImmediate(() => this.client.closed());
			},
		};
		this.client.opened(transport as unknown as GatewayTransport);
	}

	set isSlow(value: boolean) {
		this.#isSlow = value;
		if (value) return;
		this.#buffered = 0;
		this.client.writable();
	}

	get id(): number {
		return this.client.id;
	}

	get told(): { readonly type: string; readonly [name: string]: unknown }[] {
		return this.messages.filter(({ frameClass }) => frameClass === 0).map(({ content }) => JSON.parse(content.toString()));
	}

	get texts(): string[] {
		return this.messages.filter(({ frameClass }) => frameClass !== 0).map(({ content }) => content.toString());
	}

	send(frameClass: number, backendId: number, content: string | Buffer = ""): void {
		const body = Buffer.from(content as string);
		const bytes = Buffer.alloc(9 + body.length);
		bytes.writeUInt32BE(backendId, 4);
		bytes[8] = frameClass;
		body.copy(bytes, 9);
		this.client.frame(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer, true);
	}

	leave(): void {
		if (this.client.place >= 0) this.client.closed();
	}

	#take(bytes: Buffer): void {
		const message = {
			clientId: bytes.readUInt32BE(0),
			backendId: bytes.readUInt32BE(4),
			frameClass: bytes[8]!,
			content: bytes.subarray(9),
		};
		if (this.onFrame !== null && message.frameClass !== 0) this.onFrame(message);
		else this.messages.push(message);
	}
}

interface RigOptions {
	readonly members?: number;
	readonly capacityBytes?: number;
	readonly config?: Partial<Config>;
	readonly link?: Partial<LinkOptions>;
}

/** Several hubs of one gateway on a bus in memory, as if they were processes. They are stopped after the test. */
export class HubsRig {
	readonly hubs: (GatewayHub | null)[] = [];
	/** 0 = no process is there. */
	readonly incarnations: number[];
	#starts = 0;
	places: BackendPlace[] = [];
	/** Slots of processes that do not read the bus at the moment. */
	readonly hung = new Set<number>();
	readonly #bus: MemoryBus;
	readonly #options: RigOptions;
	readonly #clients: HubClient[] = [];
	readonly #links: BusLink[] = [];

	constructor(options: RigOptions = {}) {
		const { members = 2, capacityBytes = 2 ** 20 } = options;
		this.#options = options;
		this.#bus = new MemoryBus({ members, capacityBytes });
		this.incarnations = new Array(members).fill(0);
		for (let slot = 0; slot < members; slot++) this.start(slot);
		closing(async () => {
			for (const client of this.#clients) client.leave();
			for (let slot = 0; slot < members; slot++) this.kill(slot);
		});
	}

	/** Starts a process in a slot, once more if it is after `kill`. */
	start(slot: number): GatewayHub {
		const { config: changed, link } = this.#options;
		const config = defaultConfig({ backendReconnectMinMs: 20, backendReconnectMaxMs: 50, logLevel: "silent", ...changed });
		this.incarnations[slot] = ++this.#starts;
		const busLink = this.#bus.link(slot);
		const { read, hasRecords } = busLink;
		busLink.read = (max, visit) => (this.hung.has(slot) ? 0 : read.call(busLink, max, visit));
		busLink.hasRecords = () => !this.hung.has(slot) && hasRecords.call(busLink);
		const hub = new GatewayHub({
			config: () => config,
			linkOptions: { ...linkOptionsOf(config), ...link },
			log: silentLog(),
			left: () => {},
			failed: (error) => {
				throw error;
			},
			nowMs: () => performance.now(),
			bus: { link: busLink, incarnationOf: (of) => this.incarnations[of]!, beforeTurn: () => {} },
		});
		this.hubs[slot] = hub;
		this.#links[slot] = busLink;
		hub.start();
		hub.useBackends(this.places);
		return hub;
	}

	/** Ends a process without any goodbye. */
	kill(slot: number): void {
		const hub = this.hubs[slot];
		if (hub === null || hub === undefined) return;
		this.hubs[slot] = null;
		this.incarnations[slot] = 0;
		this.#links[slot]!.claim = () => -1;
		hub.stop();
		this.#links[slot]!.close();
	}

	/** @param owners slot of each backend's owner. */
	use(backends: readonly FakeBackend[], owners: readonly number[]): void {
		this.places = backends.map(({ port }, index) => ({
			...{ id: index + 1, host: "127.0.0.1", port, address: `127.0.0.1:${port}`, name: "", origins: ["static"], owner: owners[index]! },
		}));
		for (const hub of this.hubs) hub?.useBackends(this.places);
	}

	hub(slot: number): GatewayHub {
		return this.hubs[slot]!;
	}

	client(slot: number): HubClient {
		const client = new HubClient(this.hub(slot));
		this.#clients.push(client);
		return client;
	}

	/** Waits until all processes have all backends. */
	async up(): Promise<void> {
		await waitFor(
			() => this.hubs.every((hub) => hub === null || [...hub.backends.all].filter(({ link }) => link.isUp).length === this.places.length),
			{ what: "all backends are up everywhere", deadlineMs: 20_000 },
		);
	}

	/** Waits until no process has anything on its way. */
	async idle(): Promise<void> {
		await waitFor(() => this.hubs.every((hub) => hub === null || hub.pool.inUse === 0), { what: "no frame is left", deadlineMs: 20_000 });
	}
}
