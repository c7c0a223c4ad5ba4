import { waitFor } from "@shardcast/testkit";
import { LatencyRecorder } from "../../../report/latency.ts";
import type { BenchBackend } from "./bench-backends.ts";
import { BenchClients } from "./bench-clients.ts";
import { FrameBackend } from "./frame-backend.ts";
import { SpliceBackend } from "./splice-backend.ts";
import { SplicePair } from "./splice-pair.ts";
import { VideoPace } from "./video-pace.ts";

/** What backends speak: the gateway's frames, WebSocket, or the bytes of messages. */
export type BackendKind = "frames" | "websocket" | "bytes";

export interface PeersReport {
	readonly videoReceived: number;
	/** As text: `summariseLatency`. */
	readonly latencies: Readonly<Record<PeerLatency, string>>;
}

export type PeerLatency = "video" | "toBackend" | "toClient" | "roundTrip" | "splice";

const tickMs = 1;
/** For so many CONTROL frames, one message goes through the empty splice: it takes CPU from whoever else is measured. */
const controlOfSplice = 4;
const knownMs = 30_000;

/** Of what these backends, or a process without a splice, do not measure: it stays empty. */
const none = new LatencyRecorder();

/** Backends and clients of a bench, in one process. Its public methods are called from the bench's process, one after the other. */
export class Peers {
	readonly #clients = new BenchClients();
	#backends: readonly BenchBackend[] = [];
	#video = new VideoPace([]);
	#splice: SplicePair | null = null;
	#timer: NodeJS.Timeout | null = null;
	#polling: NodeJS.Immediate | null = null;
	#controlPerMs = 0;
	#controlFromMs = 0;
	#controlDone = 0;
	/** CONTROL frames since the last one with which a message went through the splice; 0 = it goes with the next one. */
	#sinceSplice = 0;

	/** @returns ports. */
	async listen({ kind, backends }: { readonly kind: BackendKind; readonly backends: number }): Promise<number[]> {
		this.#backends =
			kind === "frames"
				? await Promise.all(Array.from({ length: backends }, () => FrameBackend.open()))
				: [await SpliceBackend.open(backends, kind === "websocket")];
		this.#video = new VideoPace(this.#backends);
		return this.#backends.flatMap(({ ports }) => ports);
	}

	/** Opens so many clients of a port. */
	async open({ port, clients }: { readonly port: number; readonly clients: number }): Promise<void> {
		await this.#clients.open(port, clients);
	}

	/** From now on it also measures round trips through an empty splice. @returns the splice's process id. */
	async openSplice(): Promise<number> {
		this.#splice = await SplicePair.open();
		return this.#splice.pid;
	}

	/** Waits until each backend knows so many clients. */
	async know({ clients }: { readonly clients: number }): Promise<void> {
		const all = () => this.#backends.every((backend) => backend.clients === clients);
		await waitFor(all, { deadlineMs: knownMs, what: `backends that know ${clients} clients` });
		for (const backend of this.#backends) backend.prepare();
	}

	/** Sends at these rates from now on. */
	pace({ video, control }: { readonly video: number; readonly control: number }): void {
		this.#video.perSecond = video;
		this.#controlPerMs = control / 1000;
		this.#controlFromMs = performance.now();
		this.#controlDone = 0;
		this.#timer ??= setInterval(this.#tick, tickMs);
	}

	/** Polls from now on, so that the CPU of this process does not sleep. */
	stayAwake(): void {
		if (this.#polling === null) this.#poll();
	}

	begin(): void {
		this.#clients.received = 0;
		this.#sinceSplice = 0;
		for (const recorder of Object.values(this.#recorders)) recorder.clear();
	}

	/** What there was since `begin`. */
	end(): PeersReport {
		this.#clients.check();
		const taken = Object.entries(this.#recorders).map(([name, recorder]) => [name, recorder.take()]);
		return { videoReceived: this.#clients.received, latencies: Object.fromEntries(taken) as Record<PeerLatency, string> };
	}

	close(): void {
		if (this.#polling !== null) clearImmediate(this.#polling);
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#clients.close();
		this.#splice?.close();
		for (const backend of this.#backends) backend.close();
	}

	get #frameBackends(): readonly FrameBackend[] {
		return this.#backends.filter((backend) => backend instanceof FrameBackend);
	}

	get #recorders(): Readonly<Record<PeerLatency, LatencyRecorder>> {
		const { video, toClient, roundTrip } = this.#clients;
		return { video, toBackend: this.#frameBackends[0]?.toBackend ?? none, toClient, roundTrip, splice: this.#splice?.roundTrip ?? none };
	}

	readonly #poll = (): void => {
		this.#polling = setImmediate(this.#poll);
	};

	readonly #tick = (): void => {
		this.#video.tick();
		const planned = Math.floor((performance.now() - this.#controlFromMs) * this.#controlPerMs);
		const backendId = this.#frameBackends[0]?.id ?? 0;
		// What is late is sent at once: it would be measured like the rest.
		for (; this.#controlDone < planned; this.#controlDone++) {
			this.#clients.sendControl(backendId);
			if (this.#sinceSplice === 0) this.#splice?.send();
			this.#sinceSplice = (this.#sinceSplice + 1) % controlOfSplice;
		}
	};
}
