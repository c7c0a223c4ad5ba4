import {
	type ConsoleRules,
	consoleToken,
	type HttpRequest,
	isCrossSite,
	type Reply,
	type ReplyStream,
	refusal,
	type StreamRoute,
	type StreamStart,
} from "@shardcast/http";
import type { ConnectionCheck } from "../limits/connection-check.ts";
import { canWatch, watchRefusal } from "./console-access.ts";
import { type ConsoleFeed, type ConsoleViewer, nothingWatched } from "./console-feed.ts";

interface ConsoleEventsParts {
	readonly feed: Pick<ConsoleFeed, "add" | "remove" | "watch" | "isFull">;
	readonly check: Pick<ConnectionCheck, "stopping" | "overRate">;
	/** Returns the current rules. */
	readonly rules: () => ConsoleRules;
}

/**
 * `GET /api/console/events`: the console's feed as server-sent events, for `curl -N` and EventSource. The same access rules as for its WebSocket.
 * `?tail=` names a channel whose messages to include.
 */
export function consoleEvents({ feed, check, rules }: ConsoleEventsParts): StreamRoute {
	const judge = (request: HttpRequest): Reply | null => {
		const stopping = check.stopping();
		if (stopping !== null) return stopping;
		const { address } = request;
		const head = { token: consoleToken(request), origin: request.header("origin"), host: request.header("host"), address };
		if (isCrossSite(request.header("sec-fetch-site")) || !canWatch(head, rules())) return refusal("forbidden", watchRefusal(rules()));
		return feed.isFull ? refusal("unavailable", "too many consoles are open") : check.overRate(address);
	};
	const begin = (request: HttpRequest): Reply | StreamStart => {
		const refused = judge(request);
		if (refused !== null) return refused;
		return new EventViewer(feed, new URLSearchParams(request.query).get("tail"));
	};
	return { kind: "stream", method: "GET", path: "/api/console/events", query: ["tail", "token"], begin };
}

/** A program that reads the feed. */
class EventViewer implements StreamStart, ConsoleViewer {
	readonly type = "text/event-stream";
	/** A comment, which clients ignore. */
	readonly idlePart = ":\n\n";
	watched: string | null = nothingWatched.watched;
	watchedBytes: Uint8Array = nothingWatched.watchedBytes;
	watchedHash: number = nothingWatched.watchedHash;
	search: string | null = nothingWatched.search;
	shown = 0;
	readonly #feed: ConsoleEventsParts["feed"];
	readonly #tail: string | null;
	#stream!: ReplyStream;

	constructor(feed: ConsoleEventsParts["feed"], tail: string | null) {
		this.#feed = feed;
		this.#tail = tail;
	}

	opened(stream: ReplyStream): void {
		this.#stream = stream;
		this.#feed.watch(this, this.#tail);
		if (!this.#feed.add(this)) stream.close();
	}

	closed(): void {
		this.#feed.remove(this);
	}

	/** JSON has no line breaks. */
	send(text: string): void {
		this.#stream.write(`data: ${text}\n\n`);
	}

	getBufferedAmount(): number {
		return this.#stream.bufferedBytes;
	}

	end(): void {
		this.#stream.close();
	}
}
