import type { Certificate, Config } from "@shardcast/config";
import type { TrustedProxies } from "@shardcast/http";
import { nativeSupport } from "@shardcast/native";
import { StartupError } from "@shardcast/process";
import { BoundedLines } from "@shardcast/telemetry";
import { monotonicMs } from "@shardcast/wire";
import type { Commit, Feature } from "../../lifecycle/feature.ts";
import type { ShardOptions } from "../../lifecycle/shard-options.ts";
import { withinDeadline } from "../../lifecycle/within-deadline.ts";
import type { ConnectionCheck } from "../../limits/connection-check.ts";
import { HandoffIntake } from "../handoff-intake.ts";
import type { PeekedConnections } from "../peeked-connections.ts";
import { PrefixedConnections } from "../prefixed-connections.ts";
import { TlsConnections } from "../tls-connections.ts";
import { type SocketOptions, Sockets } from "./sockets.ts";
import type { GuardedCallback } from "./sockets-app.ts";

interface ListenerParts {
	readonly options: Pick<ShardOptions, "row" | "log" | "address" | "handoff" | "isProxy" | "certificates"> & {
		readonly config: Pick<Config, "proxyProtocol" | "headTimeoutMs" | "webSocketCompression" | "webSocketCompressionBytesMin">;
	};
	readonly live: { readonly config: Pick<Config, "headTimeoutMs">; readonly trustedProxies: Pick<TrustedProxies, "has"> };
	readonly check: Pick<ConnectionCheck, "full" | "forwardedAddress">;
	readonly rules: SocketOptions["rules"];
	/** The features with endpoints or routes. */
	readonly served: readonly Feature[];
}

/** Minimum interval between lines: without free descriptors every connection is lost, and a bug may show with every frame. */
const failureLineEveryMs = 1000;

/** Accepts connections from the shard's port and from the balancer, and serves the endpoints and routes. */
export class Listener implements Feature {
	readonly name = "requests";
	readonly sockets: Sockets;
	/** Connections that begin with a PROXY header or with TLS; null = none do. */
	readonly #peeked: PeekedConnections | null;
	/** Null = no connections are handed over. */
	readonly intake: HandoffIntake | null;
	/** The port; 0 = not listening. */
	port = 0;
	readonly #parts: ListenerParts;
	readonly #failures = new BoundedLines(failureLineEveryMs);

	constructor(parts: ListenerParts) {
		const { options, check, rules, served } = parts;
		const { row } = options;
		this.#parts = parts;
		this.sockets = new Sockets({
			sessions: served.flatMap(({ endpoints = [] }) => endpoints),
			routes: served.flatMap(({ routes = [] }) => routes),
			rules,
			handlers: {
				connections: (count) => {
					row.connections = count;
				},
				socketsMax: () => row.socketsMax,
				overfull: () => check.full(),
				isCrowded: () => row.isCrowded,
				forwardedAddress: (head, peer) => check.forwardedAddress(head, peer),
				failed: this.failed,
			},
			proxyProtocol: options.config.proxyProtocol,
			counters: row,
			certificates: options.certificates,
			compressFrom: options.config.webSocketCompression ? options.config.webSocketCompressionBytesMin : undefined,
		});
		if (options.config.proxyProtocol) this.#peeked = this.#takePrefixes();
		else this.#peeked = options.certificates.length > 0 ? this.#takeTls() : null;
		this.intake = this.#takeHandoffs();
	}

	/** Counts and logs an exception in what was done for a request or a connection, which the caller ends. */
	readonly failed = (callback: GuardedCallback, error: unknown): void => {
		const { row, log } = this.#parts.options;
		row.add("callbackErrors", 1);
		this.#failures.offer((leftOut) =>
			log.error({ error, callback, leftOut }, "a request or a connection failed in this shard; it was ended"),
		);
	};

	async start(): Promise<void> {
		const { address } = this.#parts.options;
		if (address !== null) this.port = await (this.#peeked ?? this.sockets).listen(address);
	}

	reload(): Commit {
		return () => this.sockets.limit();
	}

	/** Sets the certificates for new connections. @throws Error when the library does not accept one. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.sockets.useCertificates(certificates);
	}

	everySecond(): void {
		this.sockets.tidy();
		this.intake?.look();
	}

	/** Stops accepting connections from the port, and waits for requests in progress: for their bodies, then for the answers. */
	drain(leftMs: number): Promise<void> {
		this.sockets.stopListening();
		this.#peeked?.stopListening();
		return withinDeadline(this.sockets.whenAnswered(), leftMs);
	}

	/** Number of incomplete bodies. */
	unfinished(): number {
		return this.sockets.bodies.count;
	}

	stop(): void {
		this.intake?.close();
		this.#peeked?.close();
		this.sockets.close();
	}

	#takePrefixes(): PrefixedConnections {
		const { options, live } = this.#parts;
		return new PrefixedConnections({
			...this.#peekedParts("--proxy-protocol"),
			isTrusted: (peer) => live.trustedProxies.has(peer),
			isProxy: options.isProxy,
			adopt: (descriptor, address) => this.sockets.adoptTold(descriptor, address),
		});
	}

	#takeTls(): TlsConnections {
		return new TlsConnections({
			...this.#peekedParts("--tls-cert"),
			adopt: (descriptor, serverName) => this.sockets.adopt(descriptor, serverName),
		});
	}

	#peekedParts(flag: string) {
		const support = nativeSupport();
		if (!support.available) throw new StartupError(`${flag} ${support.reason}`, { exitStatus: 2 });
		const { options, live, check } = this.#parts;
		const { row, log } = options;
		return {
			full: () => (row.connections < row.socketsMax ? null : check.full()),
			timeoutMs: () => live.config.headTimeoutMs,
			nowMs: monotonicMs,
			counters: row,
			onError: (error: unknown) =>
				this.#failures.offer((leftOut) => log.error({ error, leftOut }, "could not serve a connection; it was closed")),
		};
	}

	#takeHandoffs(): HandoffIntake | null {
		const { row, log, handoff } = this.#parts.options;
		if (handoff === null) return null;
		const lost = new BoundedLines(failureLineEveryMs);
		return new HandoffIntake({
			channel: handoff,
			adopt: (descriptor) => (this.#peeked ?? this.sockets).adopt(descriptor),
			counters: row,
			words: row,
			onError: (error) => lost.offer((leftOut) => log.error({ error, leftOut }, "a connection that was handed over is lost")),
		});
	}
}
