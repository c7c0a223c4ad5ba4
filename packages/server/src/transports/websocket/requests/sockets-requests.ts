import {
	BodyNeeded,
	type ForwardedAddress,
	type Reply,
	type HttpRequest as Request,
	type Router,
	refusal,
	StreamNeeded,
} from "@shardcast/http";
import { addressKeyOf } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import { InProgress } from "../../../lifecycle/in-progress.ts";
import type { ForwardedHead } from "../../client-address.ts";
import type { GuardedApp, Response } from "../sockets-app.ts";
import { bodyFraming, forwardedHead, hasBody, joinedHeader } from "../sockets-heads.ts";
import type { HttpRequest } from "../sockets-native.ts";
import { type Aborts, BodyReader } from "./sockets-bodies.ts";
import { sendReply } from "./sockets-http.ts";
import type { LabelledSockets } from "./sockets-labelled.ts";
import { Streams } from "./sockets-streams.ts";

interface RequestsParts {
	readonly app: GuardedApp;
	readonly router: Router;
	readonly counters: Pick<Counters, "add">;
	/** The connections with a PROXY header; null = there are none. */
	readonly labelledSockets: LabelledSockets | null;
	/** The address of a client behind a proxy; null if it connected directly. */
	readonly forwardedAddress: (head: ForwardedHead, peer: () => string) => ForwardedAddress | null;
	/** Whether connections are closed after their answers, so that others find room. */
	readonly isCrowded: () => boolean;
}

/** Serves HTTP requests: carries out the router's decisions with uWebSockets.js. Owned by the shard's loop. */
export class Requests {
	readonly bodies: BodyReader;
	readonly #parts: RequestsParts;
	readonly #streams: Streams;
	/** Requests whose handlers have not answered yet. */
	readonly #unanswered = new InProgress();

	constructor(parts: RequestsParts) {
		const { app, router, counters } = parts;
		this.#parts = parts;
		this.bodies = new BodyReader(app, { bodyBytesMax: router.bodyBytesMax, counters });
		this.#streams = new Streams(app);
	}

	serve(response: Response, request: HttpRequest): void {
		const { router, counters } = this.#parts;
		counters.add("httpRequests", 1);
		const announced = this.announced(response);
		if (announced === undefined) return;
		const forwarded = this.#parts.forwardedAddress(forwardedHead(request, announced), () => remoteAddress(response));
		const seen = new SeenRequest(response, request, forwarded);
		const framing = bodyFraming(request);
		if (framing === "ambiguous") {
			this.#replyLater(response, endOfTurn(ambiguousLength), seen.method === "HEAD");
			return;
		}
		// The balancer has checked the chunks that it passes on.
		const isLast = framing === "chunked" && forwarded?.byBalancer !== true;
		const routed = router.route(seen);
		if (routed instanceof BodyNeeded) this.#readBody(response, seen, routed, isLast);
		else if (routed instanceof StreamNeeded) this.#streams.open(response, routed);
		else this.#reply(response, request, routed, seen.method === "HEAD", isLast);
	}

	/**
	 * The address in the PROXY header of the connection; null = it began without one. Undefined = this client has sent another header later, to pose as
	 * another client: the connection is closed.
	 */
	announced(response: Response): string | null | undefined {
		const { labelledSockets, counters } = this.#parts;
		if (labelledSockets === null) return null;
		const address = labelledSockets.addressOf(response);
		if (address !== null) return address;
		counters.add("refusedProxyHeader", 1);
		response.close();
		return undefined;
	}

	/** Answers a request that was not routed. */
	answer(response: Response, request: HttpRequest, reply: Reply): void {
		this.#parts.counters.add("httpRequests", 1);
		this.#reply(response, request, reply, false, request.getHeader("transfer-encoding") !== "");
	}

	/** Like `answer`, for a request without a body that can no longer be read. */
	answerLater(response: Response, reply: Reply): void {
		this.#parts.counters.add("httpRequests", 1);
		this.#send(response, reply);
	}

	/** Resolves when no body is incomplete, and all handlers have answered. Does not wait for streams. */
	async whenNone(): Promise<void> {
		await this.bodies.whenNone();
		await this.#unanswered.whenNone();
	}

	#readBody(response: Response, seen: SeenRequest, wanted: BodyNeeded, isLast: boolean): void {
		this.bodies.read(response, () => addressKeyOf(seen.address), wanted.bytesMax, {
			whole: (body, aborts) => {
				const routed = wanted.whole(body);
				if (routed instanceof StreamNeeded) this.#streams.open(response, routed, aborts);
				else if (routed instanceof Promise) {
					const reply = isLast ? routed.then((known) => ({ ...known, close: true })) : routed;
					void this.#later(response, reply, () => aborts.isGone, false);
				} else if (isLast) this.#replyLast(response, routed, aborts, false);
				else this.#send(response, routed);
			},
			failed: (problem) => this.#send(response, wanted.refuse(problem)),
		});
	}

	#reply(response: Response, request: HttpRequest, reply: Reply | Promise<Reply>, isHead: boolean, isLast: boolean): void {
		if (reply instanceof Promise) this.#replyLater(response, reply, isHead);
		// If the connection is closed with unread bytes, the answer may be lost.
		else if (isLast) this.bodies.discard(response, (aborts) => this.#replyLast(response, reply, aborts, isHead));
		else if (hasBody(request)) this.bodies.discard(response, () => this.#send(response, reply, isHead));
		else this.#send(response, reply, isHead);
	}

	/**
	 * Sends the reply to a request in chunks. The library may see the end of such a body where a proxy in front does not, so nothing behind it is
	 * served: until the reply is sent, the library cuts the connection when another request follows, and the connection is closed with the reply.
	 */
	#replyLast(response: Response, reply: Reply, aborts: Aborts, isHead: boolean): void {
		void this.#later(response, endOfTurn({ ...reply, close: true }), () => aborts.isGone, isHead);
	}

	/** Sends the reply later. Does nothing if the client is gone by then. */
	#replyLater(response: Response, promised: Promise<Reply>, isHead: boolean): void {
		const { app } = this.#parts;
		let gone = false;
		app.receive(response, {
			data: () => {},
			aborted: () => {
				gone = true;
			},
		});
		void this.#later(response, promised, () => gone, isHead);
	}

	async #later(response: Response, promised: Promise<Reply>, isGone: () => boolean, isHead: boolean): Promise<void> {
		this.#unanswered.begin();
		await this.#parts.app.later(response, promised, isGone, (reply) => this.#send(response, reply, isHead));
		this.#unanswered.end();
	}

	#send(response: Response, reply: Reply, isHead = false): void {
		sendReply(response, this.#parts.isCrowded() ? { ...reply, close: true } : reply, isHead);
	}
}

/** The library reads what has arrived with a request in the same turn of the loop. */
function endOfTurn(reply: Reply): Promise<Reply> {
	return new Promise((resolve) => setImmediate(resolve, reply));
}

const ambiguousLength = refusal(
	"bad_request",
	"give the length of the body once, by a Content-Length of digits or Transfer-Encoding: chunked",
	{
		close: true,
	},
);

/** Adapts a request of uWebSockets.js for handlers. Each field is read from the library on access. */
class SeenRequest implements Request {
	readonly method: string;
	readonly path: string;
	readonly #response: Response;
	readonly #request: HttpRequest;
	readonly forwarded: ForwardedAddress | null;
	#address: string | null;

	/** @param forwarded the address of a client behind a proxy. */
	constructor(response: Response, request: HttpRequest, forwarded: ForwardedAddress | null) {
		this.method = request.getCaseSensitiveMethod();
		this.path = request.getUrl();
		this.#response = response;
		this.#request = request;
		this.forwarded = forwarded;
		this.#address = forwarded?.address ?? null;
	}

	get query(): string {
		return this.#request.getQuery() ?? "";
	}

	get address(): string {
		this.#address ??= remoteAddress(this.#response);
		return this.#address;
	}

	header(name: string): string {
		return this.#request.getHeader(name);
	}

	joinedHeader(name: string): string {
		return joinedHeader(this.#request, name);
	}
}

export function remoteAddress(response: Response): string {
	return Buffer.from(response.getRemoteAddressAsText()).toString("latin1");
}
