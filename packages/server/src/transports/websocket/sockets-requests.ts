import { BodyWanted, type Reply, type HttpRequest as Request, type Router, StreamWanted, type ToldAddress } from "@shardcast/http";
import { addressKeyOf } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import type { ForwardedHead } from "../client-address.ts";
import type { GuardedApp, Response } from "./sockets-app.ts";
import { BodyReader } from "./sockets-bodies.ts";
import { forwardedHead, hasBody, wholeHeader } from "./sockets-heads.ts";
import { sendReply } from "./sockets-http.ts";
import type { HttpRequest } from "./sockets-native.ts";
import { Streams } from "./sockets-streams.ts";
import type { ToldSockets } from "./sockets-told.ts";

export interface RequestsParts {
	readonly app: GuardedApp;
	readonly router: Router;
	readonly counters: Pick<Counters, "add">;
	/** The connections with a PROXY header; null = there are none. */
	readonly toldSockets: ToldSockets | null;
	/** The address of a client behind a proxy; null if it connected directly. */
	readonly told: (head: ForwardedHead, peer: () => string) => ToldAddress | null;
}

/** Serves HTTP requests: carries out the router's decisions with uWebSockets.js. Owned by the shard's loop. */
export class Requests {
	readonly bodies: BodyReader;
	readonly #parts: RequestsParts;
	readonly #streams: Streams;

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
		const told = this.#parts.told(forwardedHead(request, announced), () => remoteAddress(response));
		const seen = new SeenRequest(response, request, told);
		const routed = router.route(seen);
		if (routed instanceof BodyWanted) this.#readBody(response, seen, routed);
		else if (routed instanceof StreamWanted) this.#streams.open(response, routed);
		else this.#reply(response, request, routed, seen.method === "HEAD");
	}

	/**
	 * The address in the PROXY header of the connection; null = it began without one. Undefined = this client has sent another header later, to pose as
	 * another client: the connection is closed.
	 */
	announced(response: Response): string | null | undefined {
		const { toldSockets, counters } = this.#parts;
		if (toldSockets === null) return null;
		const address = toldSockets.addressOf(response);
		if (address !== null) return address;
		counters.add("refusedProxyHeader", 1);
		response.close();
		return undefined;
	}

	/** Answers a request that was not routed. */
	answer(response: Response, request: HttpRequest, reply: Reply): void {
		this.#parts.counters.add("httpRequests", 1);
		this.#reply(response, request, reply, false);
	}

	/** Like `answer`, for a request without a body that can no longer be read. */
	answerLater(response: Response, reply: Reply): void {
		this.#parts.counters.add("httpRequests", 1);
		sendReply(response, reply);
	}

	#readBody(response: Response, seen: SeenRequest, wanted: BodyWanted): void {
		const { app } = this.#parts;
		this.bodies.read(response, () => addressKeyOf(seen.address), wanted.bytesMax, {
			whole: (body, aborts) => {
				const routed = wanted.whole(body);
				if (routed instanceof StreamWanted) this.#streams.open(response, routed, aborts);
				else if (routed instanceof Promise)
					void app.later(
						response,
						routed,
						() => aborts.isGone,
						(later) => sendReply(response, later),
					);
				else sendReply(response, routed);
			},
			failed: (problem) => sendReply(response, wanted.refuse(problem)),
		});
	}

	#reply(response: Response, request: HttpRequest, reply: Reply | Promise<Reply>, isHead: boolean): void {
		if (reply instanceof Promise) this.#replyLater(response, reply, isHead);
		// If the connection is closed with unread bytes, the answer may be lost.
		else if (hasBody(request)) this.bodies.discard(response, () => sendReply(response, reply, isHead));
		else sendReply(response, reply, isHead);
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
		void app.later(
			response,
			promised,
			() => gone,
			(reply) => sendReply(response, reply, isHead),
		);
	}
}

/** Adapts a request of uWebSockets.js for handlers. Each field is read from the library on access. */
class SeenRequest implements Request {
	readonly method: string;
	readonly path: string;
	readonly #response: Response;
	readonly #request: HttpRequest;
	readonly told: ToldAddress | null;
	#address: string | null;

	/** @param told the address of a client behind a proxy. */
	constructor(response: Response, request: HttpRequest, told: ToldAddress | null) {
		this.method = request.getCaseSensitiveMethod();
		this.path = request.getUrl();
		this.#response = response;
		this.#request = request;
		this.told = told;
		this.#address = told?.address ?? null;
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

	wholeHeader(name: string): string {
		return wholeHeader(this.#request, name);
	}
}

export function remoteAddress(response: Response): string {
	return Buffer.from(response.getRemoteAddressAsText()).toString("latin1");
}
