import { type Command, DisconnectCode, ErrorCode, type Method, type Reply, type Requests, replyErrors } from "@shardcast/protocol";
import { CloseCode } from "@shardcast/wire";
import type { CentrifugeSession } from "../centrifuge-session.ts";

/** What a command comes to: the body of its reply, an error for it, or the end of the connection. */
export type Outcome = Omit<Reply, "id" | "push"> | { readonly fails: ErrorCode } | { readonly ends: DisconnectCode } | null;

/** Carries out one method. Null = there is nothing to reply. A promise when it has to wait: all that follows waits behind it. */
export type Handle<M extends Method> = (session: CentrifugeSession, request: Requests[M]) => Outcome | Promise<Outcome>;
export type CommandHandlers = { readonly [M in Method]: Handle<M> };

export interface CommandsParts {
	readonly handlers: CommandHandlers;
	/** Whether it answers a ping that was sent. */
	readonly pong: (session: CentrifugeSession) => boolean;
	/** A command failed by a defect, after it had waited; its connection is ended. */
	readonly failed: (error: unknown) => void;
}

/** Longest frame of a client. */
export const frameBytesMax = 65_536;
/** What may wait behind one command of a client. */
const backlogBytesMax = 1024 * 1024;
/** What a frame that waits costs besides its bytes. */
const overheadBytes = 512;

/**
 * Takes the frames of clients: their commands strictly one after the other, also when one has to wait, and the replies to all of a frame in
 * one write. What a client breaks of the protocol ends its connection, behind the replies to what came before.
 *
 * One owner, the shard's loop. Bound: one frame of 64 KiB (1009 above it), and 1 MiB that waits behind a command (3013 above it), by client.
 */
export class Commands {
	readonly #parts: CommandsParts;
	/** Of the client whose commands are being carried out. */
	readonly #replies: Uint8Array[] = [];

	constructor(parts: CommandsParts) {
		this.#parts = parts;
	}

	/** The message's memory is gone when this returns. */
	take(session: CentrifugeSession, message: ArrayBuffer): void {
		// A client that is being closed has been told, or is being told, that it is not heard any more.
		if (session.leaving !== 0) return;
		if (message.byteLength > frameBytesMax) {
			session.close(CloseCode.messageTooBig);
			return;
		}
		// A copy: payloads lie in it, and those behind a command that waits are needed later.
		const frame = new Uint8Array(message.slice(0));
		const { commands, error } = session.framing.codec.decodeCommands(frame);
		const { backlog } = session;
		if (backlog === null) {
			this.#work(session, commands, 0, error !== null);
			return;
		}
		const bytes = frame.length + overheadBytes;
		backlog.bytes += bytes;
		backlog.frames.push({ commands, at: 0, isBroken: error !== null, bytes });
		if (backlog.bytes > backlogBytesMax) session.close(DisconnectCode.tooManyRequests);
	}

	/** False = a command waits, or the connection is at its end. */
	#work(session: CentrifugeSession, commands: readonly Command[], from: number, isBroken: boolean): boolean {
		for (let at = from; at < commands.length && session.leaving === 0; at++) {
			const waits = this.#carryOut(session, commands[at]!);
			if (waits === undefined) continue;
			session.backlog ??= { frames: [], bytes: 0 };
			session.backlog.frames.unshift({ commands, at: at + 1, isBroken, bytes: 0 });
			this.#flush(session);
			void this.#goOn(session, waits);
			return false;
		}
		if (isBroken) this.#end(session, DisconnectCode.badRequest);
		this.#flush(session);
		return session.leaving === 0;
	}

	/** Never rejects. */
	async #goOn(session: CentrifugeSession, waits: Promise<void>): Promise<void> {
		try {
			await waits;
			const { backlog } = session;
			// It has gone meanwhile.
			if (backlog === null || session.leaving !== 0) return;
			for (let next = backlog.frames.shift(); next !== undefined; next = backlog.frames.shift()) {
				backlog.bytes -= next.bytes;
				if (!this.#work(session, next.commands, next.at, next.isBroken)) return;
			}
			session.backlog = null;
		} catch (error) {
			this.#replies.length = 0;
			this.#parts.failed(error);
			session.close(CloseCode.internalError);
		}
	}

	#carryOut(session: CentrifugeSession, command: Command): Promise<void> | undefined {
		if (command.method === "pong") {
			if (!this.#parts.pong(session)) this.#end(session, DisconnectCode.badRequest);
			return undefined;
		}
		if (command.method === "unknown" || session.state !== (command.method === "connect" ? "new" : "connected")) {
			this.#end(session, DisconnectCode.badRequest);
			return undefined;
		}
		const handle = this.#parts.handlers[command.method] as Handle<Method>;
		const outcome = handle(session, command.request);
		if (!(outcome instanceof Promise)) {
			this.#conclude(session, command.id, outcome);
			return undefined;
		}
		return outcome.then((later) => {
			if (!session.isGone) this.#conclude(session, command.id, later);
		});
	}

	#conclude(session: CentrifugeSession, id: number, outcome: Outcome): void {
		if (outcome === null) return;
		if ("ends" in outcome) this.#end(session, outcome.ends);
		else if ("fails" in outcome) {
			const error = replyErrors[outcome.fails];
			this.#reply(session, { id, error });
			if (session.state !== "connected") session.state = "failed";
		} else this.#reply(session, { id, ...outcome });
	}

	#reply({ framing }: CentrifugeSession, reply: Reply): void {
		this.#replies.push(framing.encode(reply));
	}

	/** Ends the connection, behind the replies that it has coming. */
	#end(session: CentrifugeSession, code: DisconnectCode): void {
		this.#flush(session);
		session.close(code);
	}

	#flush({ transport, framing, leaving }: CentrifugeSession): void {
		if (this.#replies.length === 0) return;
		const replies = this.#replies.splice(0);
		if (leaving === 0) transport.send(framing.frame(replies), framing.codec.binary);
	}
}

export const fails = (code: ErrorCode): Outcome => failures[code];
export const ends = (code: DisconnectCode): Outcome => ({ ends: code });

/** Made once: an error reply allocates none. */
const failures = Object.fromEntries(Object.values(ErrorCode).map((code) => [code, { fails: code }])) as Record<ErrorCode, Outcome>;

/** Of what was to be done in a later turn: null = it could not be done in time. */
export function orInternal(outcome: Outcome | Promise<Outcome>): Outcome | Promise<Outcome> {
	const orFailed = (settled: Outcome): Outcome => settled ?? fails(ErrorCode.internal);
	return outcome instanceof Promise ? outcome.then(orFailed) : orFailed(outcome);
}
