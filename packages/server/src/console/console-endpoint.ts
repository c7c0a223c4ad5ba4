import { type ConsoleRules, type Reply, refusal } from "@shardcast/http";
import { CloseCode } from "@shardcast/wire";
import type { ConnectionCheck } from "../limits/connection-check.ts";
import type { Connecting, Session, SessionFactory, TransportLimits } from "../sessions/session.ts";
import type { TopicTransport } from "../transports/transport.ts";
import { judgeHandshake, type UpgradeRequest } from "../transports/upgrade-request.ts";
import { canWatch, watchRefusal } from "./console-access.ts";
import { type ConsoleFeed, type ConsoleViewer, nothingWatched } from "./console-feed.ts";

interface ConsoleEndpointParts {
	readonly feed: Pick<ConsoleFeed, "add" | "remove" | "request">;
	readonly check: Pick<ConnectionCheck, "stopping" | "address" | "overRate">;
	/** Returns the current rules. */
	readonly rules: () => ConsoleRules;
}

/** The console's page only sends a channel name in JSON. */
const limits: TransportLimits = { frameBytesMax: 4096, bufferedBytesMax: 4 * 1024 * 1024, idleTimeoutMs: 60_000 };

/** The WebSocket endpoint of console pages. There are few, and the rules for clients do not apply to them, except those for closing. */
export class ConsoleEndpoint implements SessionFactory<TopicTransport> {
	readonly paths = ["/console/feed"];
	readonly #parts: ConsoleEndpointParts;

	constructor(parts: ConsoleEndpointParts) {
		this.#parts = parts;
	}

	limits(): TransportLimits {
		return limits;
	}

	connect(request: UpgradeRequest): Connecting<TopicTransport> | { readonly refused: Reply } {
		const refused = this.#judge(request);
		return refused === null ? { session: new ConsoleSession(this.#parts.feed) } : { refused };
	}

	#judge(request: UpgradeRequest) {
		const { check, rules } = this.#parts;
		const { query, origin, host } = request.head;
		const refused = judgeHandshake(request.head) ?? check.stopping();
		if (refused !== null) return refused;
		const address = check.address(request);
		const given = new URLSearchParams(query).get("token");
		if (!canWatch({ token: given, origin, host, address }, rules())) return refusal("forbidden", watchRefusal(rules()));
		return check.overRate(address);
	}
}

/** A console page. */
class ConsoleSession implements Session<TopicTransport>, ConsoleViewer {
	watched: string | null = nothingWatched.watched;
	watchedBytes: Uint8Array = nothingWatched.watchedBytes;
	watchedHash: number = nothingWatched.watchedHash;
	search: string | null = nothingWatched.search;
	shown = 0;
	readonly #feed: ConsoleEndpointParts["feed"];
	#transport!: TopicTransport;

	constructor(feed: ConsoleEndpointParts["feed"]) {
		this.#feed = feed;
	}

	opened(transport: TopicTransport): void {
		this.#transport = transport;
		if (!this.#feed.add(this)) transport.end(CloseCode.tryAgainLater, "too many consoles are open");
	}

	frame(message: ArrayBuffer): void {
		this.#feed.request(this, message);
	}

	/** The feed checks the buffered bytes before it sends. */
	writable(): void {}

	/** A page that misses a snapshot gets the next one. */
	dropped(): void {}

	closed(): void {
		this.#feed.remove(this);
	}

	send(text: string): void {
		this.#transport.send(text, false);
	}

	getBufferedAmount(): number {
		return this.#transport.getBufferedAmount();
	}

	end(code: number, reason: string): void {
		this.#transport.end(code, reason);
	}
}
