import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { gatewayBackendsMax, urlHost } from "@shardcast/config";
import { TrustedProxies } from "@shardcast/http";
import { RateLimit } from "@shardcast/limits";
import { cannotListen, RunningTime } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { Heartbeat } from "@shardcast/wire";
import { type Announcement, announcementBytesMax, canonicalHost, isSignedBy, parseAnnouncement } from "./announcement.ts";
import { NonceMemory } from "./nonce-memory.ts";
import { type AnnouncementRefusal, announcementRefusals, noRefusals } from "./refusals.ts";

/** A backend that announces itself. */
export interface FoundBackend {
	/** "host:port" in its canonical form. */
	readonly address: string;
	readonly host: string;
	readonly port: number;
	/** For people. */
	readonly name: string;
}

export interface DiscoveryOptions {
	/** UDP. No host = every address of the machine, IPv4 and IPv6. Port 0 lets the kernel choose. */
	readonly listen: { readonly host?: string; readonly port: number };
	/** An announcement must be signed with one of these. Empty = announcements need no signature, but must come from `networks`. */
	readonly secrets: readonly string[];
	/** Networks whose unsigned announcements count, in the format of `--trusted-proxies`. Loopback always belongs to them. */
	readonly networks: readonly string[];
	/** A backend that has not announced itself for so long is gone. Time in which this process stood still, and heard nothing, does not count. */
	readonly expireMs: number;
	/** How far the time of a signed announcement may be from this machine's, before and after. */
	readonly freshMs: number;
	readonly backendsMax: number;
	/** Datagrams per second: of each sender of a known backend, and of all other senders together. */
	readonly datagramsPerSecond: number;
	/** Option that says where to listen, for the error message. */
	readonly flag: string;
}

export const discoveryDefaults: DiscoveryOptions = {
	listen: { port: 9999 },
	secrets: [],
	networks: [],
	expireMs: 15_000,
	freshMs: 30_000,
	backendsMax: gatewayBackendsMax,
	datagramsPerSecond: 100,
	flag: "--discover",
};

export interface DiscoveryParts {
	readonly log: Pick<Log, "info" | "warn">;
	/** Called for a new backend, and again when its name changes. */
	readonly onFound: (backend: FoundBackend) => void;
	readonly onGone: (backend: FoundBackend, why: "left" | "expired") => void;
	/** Milliseconds, monotonic. */
	readonly nowMs?: () => number;
	/** Milliseconds since 1970. */
	readonly unixMs?: () => number;
}

interface Known {
	readonly backend: FoundBackend;
	/** Sender of its announcements. */
	readonly source: string;
	/** Time in the last one; 0 if it is not signed, since then it means nothing. */
	readonly timeMs: number;
	/** Of `#running`. */
	readonly expiresMs: number;
	/** When a datagram of its sender was last refused because too many came: its announcements may be among them. Of `#running`. */
	floodedMs: number;
}

const loopback = ["127.0.0.0/8", "::1"];
const noncesMax = 16_384;
const departuresMax = 256;

/**
 * Listens for announcements of backends.
 *
 * One owner; all callbacks come from this thread's event loop. Bounds: `backendsMax` backends, datagrams of 1 KiB, `datagramsPerSecond`,
 * the nonces of a minute. What is refused is counted by reason, and logged once per reason.
 *
 * A signed announcement without a host is for the address that it comes from, which is not signed. Whoever can withhold a datagram from this
 * gateway could send it from elsewhere within `freshMs`. Announcements with a host exclude that.
 */
export class Discovery {
	accepted = 0;
	/** Datagrams by reason. */
	readonly refused = noRefusals();
	/** Errors of the socket. */
	errors = 0;
	readonly #options: DiscoveryOptions;
	readonly #parts: DiscoveryParts;
	readonly #nowMs: () => number;
	/** Looked at while backends are known. */
	readonly #running: RunningTime;
	readonly #unixMs: () => number;
	/** By address. */
	readonly #known = new Map<string, Known>();
	/** Time of the last announcement of backends that left, by address: an older one may arrive later. The oldest is forgotten first. */
	readonly #departures = new Map<string, number>();
	readonly #trusted: TrustedProxies;
	readonly #rates: RateLimit<string>;
	readonly #nonces: NonceMemory;
	#socket: Socket | null = null;
	#timer: NodeJS.Timeout | null = null;
	/** Announcements that were made before are not accepted: an earlier process may have. */
	#beganUnixMs = 0;

	/** @throws RangeError for an empty secret or something that is no network. */
	constructor(options: Partial<DiscoveryOptions>, parts: DiscoveryParts) {
		this.#options = { ...discoveryDefaults, ...options };
		this.#parts = parts;
		this.#nowMs = parts.nowMs ?? (() => performance.now());
		this.#running = new RunningTime(this.#nowMs);
		this.#unixMs = parts.unixMs ?? Date.now;
		const { secrets, networks, freshMs, datagramsPerSecond, backendsMax } = this.#options;
		if (secrets.includes("")) throw new RangeError("a secret of discovery is empty, so anyone could sign; give a longer one or none");
		this.#trusted = new TrustedProxies([...loopback, ...networks]);
		// One bucket per sender of a known backend, and one for all others: a flood from elsewhere does not silence those that are known.
		this.#rates = new RateLimit(datagramsPerSecond, backendsMax + 1);
		this.#nonces = new NonceMemory(2 * freshMs, noncesMax);
	}

	get backends(): FoundBackend[] {
		return [...this.#known.values()].map(({ backend }) => backend);
	}

	/** The port that it listens on; 0 = it does not. */
	get port(): number {
		return this.#socket?.address().port ?? 0;
	}

	/** @throws StartupError that names the option when the port cannot be used. */
	async start(): Promise<void> {
		this.#beganUnixMs = this.#unixMs();
		const { listen, flag } = this.#options;
		try {
			this.#socket = await open(listen);
		} catch (error) {
			throw cannotListen(error, listen, flag);
		}
		this.#socket.on("message", (datagram, from) => this.receive(datagram, from));
		this.#socket.on("error", (error) => {
			if (this.errors++ === 0) this.#parts.log.warn({ error }, "receiving announcements of backends failed; trying on");
		});
	}

	/** Forgets all backends without a callback. */
	async stop(): Promise<void> {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		this.#known.clear();
		const socket = this.#socket;
		this.#socket = null;
		if (socket === null) return;
		socket.close();
		await once(socket, "close");
	}

	/** Called with each datagram. */
	receive(datagram: Uint8Array, from: Pick<RemoteInfo, "address">): void {
		const source = canonicalHost(from.address);
		const refusal = this.#judge(datagram, source);
		if (refusal === null) {
			this.accepted++;
			return;
		}
		if (this.refused[refusal]++ > 0) return;
		const why = announcementRefusals[refusal];
		this.#parts.log.warn(`an announcement of a backend from ${source} was refused: ${why}. Further ones are only counted`);
	}

	#judge(datagram: Uint8Array, source: string): AnnouncementRefusal | null {
		const { secrets } = this.#options;
		if (datagram.length > announcementBytesMax) return "oversized";
		if (secrets.length === 0 && !this.#trusted.has(withoutDevice(source))) return "untrusted";
		const isSource = this.#isSource(source);
		if (!this.#rates.take(isSource ? source : "", this.#nowMs())) {
			if (isSource) this.#flooded(source);
			return "rate";
		}
		const announcement = parseAnnouncement(datagram);
		if (typeof announcement === "string") return announcement;
		const forged = secrets.length > 0 ? this.#authenticate(announcement) : null;
		if (forged !== null) return forged;
		const { host, port } = announcement;
		if (secrets.length === 0 && host !== null && host !== source) return "foreign_host";
		const address = urlHost({ host: host ?? source, port });
		// Without a signature, the time means nothing.
		const told = secrets.length > 0 ? announcement : { ...announcement, timeMs: 0 };
		return told.isLeaving ? this.#leave(address, told) : this.#enter(address, told, source);
	}

	/** Checks the signature first: what is not signed learns nothing about clocks and nonces. */
	#authenticate(announcement: Announcement): AnnouncementRefusal | null {
		const { secrets, freshMs } = this.#options;
		const { timeMs, nonce, signature } = announcement;
		if (signature === "" || nonce === "") return "unsigned";
		if (!secrets.some((each) => isSignedBy(announcement, each))) return "signature";
		const unixMs = this.#unixMs();
		if (Math.abs(timeMs - unixMs) > freshMs || timeMs < this.#beganUnixMs) return "stale";
		const added = this.#nonces.add(nonce, this.#nowMs());
		if (added !== "added") return added === "known" ? "replayed" : "nonces_full";
		return null;
	}

	#enter(address: string, { host, port, name, timeMs }: Announcement, source: string): AnnouncementRefusal | null {
		const { backendsMax, expireMs } = this.#options;
		const before = this.#known.get(address);
		if (before === undefined && this.#known.size >= backendsMax) return "full";
		if (timeMs <= (this.#departures.get(address) ?? -1)) return "stale";
		this.#departures.delete(address);
		const isSame = before?.backend.name === name;
		const backend = isSame ? before.backend : { address, host: host ?? source, port, name };
		// To the end: the order is that of expiry.
		this.#known.delete(address);
		this.#known.set(address, { backend, source, timeMs, expiresMs: this.#running.nowMs() + expireMs, floodedMs: -expireMs });
		this.#timer ??= setTimeout(this.#expire, Math.min(expireMs, Heartbeat.everyMs));
		if (before === undefined) this.#parts.log.info({ address, name }, "a backend announces itself");
		if (!isSame) this.#parts.onFound(backend);
		return null;
	}

	#leave(address: string, { timeMs }: Announcement): AnnouncementRefusal | null {
		const known = this.#known.get(address);
		if (known !== undefined && timeMs < known.timeMs) return "stale";
		this.#departures.delete(address);
		if (this.#options.secrets.length > 0) this.#departures.set(address, timeMs);
		if (this.#departures.size > departuresMax) this.#departures.delete(this.#departures.keys().next().value!);
		if (known !== undefined) this.#remove(known, "left");
		return null;
	}

	#remove({ backend }: Known, why: "left" | "expired"): void {
		this.#known.delete(backend.address);
		const { address, name } = backend;
		this.#parts.log.info({ address, name }, why === "left" ? "a backend left" : "a backend has stopped announcing itself");
		this.#parts.onGone(backend, why);
	}

	/** Whoever can send datagrams in the name of a backend's address must not make it expire. */
	#flooded(source: string): void {
		const nowMs = this.#running.nowMs();
		for (const known of this.#known.values()) if (known.source === source) known.floodedMs = nowMs;
	}

	readonly #expire = (): void => {
		const { expireMs } = this.#options;
		this.#timer = null;
		const nowMs = this.#running.nowMs();
		for (const known of this.#known.values()) {
			const leftMs = known.expiresMs - nowMs;
			if (leftMs > 0) {
				this.#timer = setTimeout(this.#expire, Math.min(leftMs, Heartbeat.everyMs));
				return;
			}
			if (nowMs - known.floodedMs >= expireMs) {
				this.#remove(known, "expired");
				continue;
			}
			// It comes again, at the end: up to `expireMs` later than it must, so that the order stays that of expiry.
			this.#known.delete(known.backend.address);
			this.#known.set(known.backend.address, { ...known, expiresMs: nowMs + expireMs });
		}
	};

	#isSource(source: string): boolean {
		for (const known of this.#known.values()) if (known.source === source) return true;
		return false;
	}
}

/** "fe80::1%eth0" without "%eth0". */
function withoutDevice(address: string): string {
	return address.replace(/%.*$/, "");
}

/** One socket for IPv4 and IPv6, or for IPv4 alone where the machine has no IPv6. */
async function open({ host, port }: DiscoveryOptions["listen"]): Promise<Socket> {
	const types = host === undefined ? (["udp6", "udp4"] as const) : ([host.includes(":") ? "udp6" : "udp4"] as const);
	for (const type of types) {
		const socket = createSocket({ type });
		try {
			socket.bind({ port, exclusive: true, ...(host !== undefined && { address: host }) });
			await once(socket, "listening");
			return socket;
		} catch (error) {
			socket.close();
			const { code } = error as NodeJS.ErrnoException;
			if (type === types.at(-1) || (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL")) throw error;
		}
	}
	throw new Error("there is no type of socket");
}
