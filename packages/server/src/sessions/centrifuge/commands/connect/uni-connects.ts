import { type ConnectRequest, type ConnectResult, DisconnectCode, ErrorCode, ProtocolError } from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import { frameBytesMax, type Handle, type Outcome } from "../commands.ts";

interface UniConnectsParts {
	readonly connect: Handle<"connect">;
	readonly counters: Pick<Counters, "add">;
	/** Connecting failed because of a defect, after it had to wait. The connection is closed. */
	readonly failed: (error: unknown) => void;
}

/** The disconnect codes that replace error codes for clients that get no replies. */
const disconnectOf: Partial<Record<number, DisconnectCode>> = {
	[ErrorCode.permissionDenied]: DisconnectCode.permissionDenied,
	[ErrorCode.tokenExpired]: DisconnectCode.expired,
	[ErrorCode.expired]: DisconnectCode.expired,
	[ErrorCode.tooManyRequests]: DisconnectCode.tooManyRequests,
};

/** Connects unidirectional clients: the request is a bare connect request, and the result is sent as the first push. */
export class UniConnects {
	readonly #parts: UniConnectsParts;

	constructor(parts: UniConnectsParts) {
		this.#parts = parts;
	}

	/** Only the first frame counts. `message` is not valid after this returns. */
	take(session: CentrifugeSession, message: ArrayBuffer): void {
		if (session.isGone || session.state !== "new" || session.backlog !== null) return;
		if (message.byteLength > frameBytesMax) {
			session.close(CloseCode.messageTooBig);
			return;
		}
		const request = requestIn(session, message.slice(0));
		if (request === null) {
			session.close(DisconnectCode.badRequest);
			return;
		}
		this.#parts.counters.add("commandsConnect", 1);
		const outcome = this.#parts.connect(session, request);
		if (!(outcome instanceof Promise)) this.#conclude(session, outcome);
		else void this.#later(session, outcome);
	}

	/** Never rejects. */
	async #later(session: CentrifugeSession, promised: Promise<Outcome>): Promise<void> {
		session.backlog = { frames: [], bytes: 0 };
		try {
			const outcome = await promised;
			if (!session.isGone) this.#conclude(session, outcome);
		} catch (error) {
			this.#parts.failed(error);
			session.close(CloseCode.internalError);
		}
	}

	#conclude(session: CentrifugeSession, outcome: Outcome): void {
		if (outcome === null) return;
		if ("ends" in outcome) session.close(outcome.ends);
		else if ("closes" in outcome) session.disconnect(outcome.closes.code, outcome.closes.reason);
		else if ("fails" in outcome) this.#refuse(session, outcome.fails);
		else if ("error" in outcome) this.#refuse(session, outcome.error!.code);
		else if ("connect" in outcome) session.push({ connect: outcome.connect as ConnectResult });
	}

	#refuse(session: CentrifugeSession, error: number): void {
		session.close(disconnectOf[error] ?? DisconnectCode.serverError);
	}
}

/** Null = not a connect request. An empty body is an empty request. */
function requestIn({ framing }: CentrifugeSession, bytes: ArrayBuffer): ConnectRequest | null {
	try {
		const isEmpty = bytes.byteLength === 0 && !framing.codec.binary;
		return framing.codec.decodeConnect(isEmpty ? emptyObject : new Uint8Array(bytes));
	} catch (error) {
		if (error instanceof ProtocolError) return null;
		throw error;
	}
}

const emptyObject = Buffer.from("{}");
