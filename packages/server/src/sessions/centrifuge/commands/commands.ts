import { type Command, DisconnectCode, ErrorCode, type Method, type Reply, type Requests, replyErrors } from "@shardcast/protocol";
import { type Counters, commandCounters, errorCounters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { CommandRates } from "../command-rates.ts";
import type { CommandTurns } from "./command-turns.ts";
import type { ReplyRoom } from "./reply-room.ts";

/** In the session's encoding, without an id. */
export interface EncodedReply {
	readonly encoded: Uint8Array;
}

/** A code, 3000 to 4999, and a reason that a backend has chosen. */
export interface ChosenDisconnect {
	readonly code: number;
	readonly reason: string;
}

/** The result of a command: the body of its reply, encoded already or not, an error reply, or a reason to close the connection. */
export type Outcome =
	| Omit<Reply, "id" | "push">
	| EncodedReply
	| { readonly fails: ErrorCode }
	| { readonly ends: DisconnectCode }
	| { readonly closes: ChosenDisconnect }
	| null;

/** Executes one method. Null = no reply. A promise when it has to wait; later commands of the client wait behind it. */
export type Handle<M extends Method> = (session: CentrifugeSession, request: Requests[M]) => Outcome | Promise<Outcome>;
export type CommandHandlers = { readonly [M in Method]: Handle<M> };

export interface CommandsParts {
	readonly handlers: CommandHandlers;
	readonly counters: Pick<Counters, "add">;
	/** Whether this answers an outstanding ping. */
	readonly pong: (session: CentrifugeSession) => boolean;
	/** A command that had to wait failed because of a defect; the connection is closed. */
	readonly failed: (error: unknown) => void;
	/** Whether the client, and its user, may send one more of them now. */
	readonly rates: Pick<CommandRates, "take">;
	/** How long commands may run in one turn of the loop. */
	readonly turns: CommandTurns;
	/** For long replies of all clients of a shard. */
	readonly room: ReplyRoom;
}

/** Ends a command that had to wait. A promise = it has to wait again; to be called again then. */
type Conclude = () => Promise<void> | undefined;

/** Longest frame a client may send. */
export const frameBytesMax = 65_536;
/** How many bytes of a client may wait behind one of its commands. */
const backlogBytesMax = 1024 * 1024;
/** Replies of so many bytes leave before the next command is executed, and that waits until the client has read them. */
const replyBytesMax = 256 * 1024;
/** What a waiting frame costs in addition to its bytes. */
const overheadBytes = 512;

/**
 * Executes the commands in the frames of clients: strictly in order for each client, even when a command has to wait, and with all replies to
 * a frame in one write. A violation of the protocol closes the connection, after the replies to the commands before it.
 *
 * One owner, the shard's loop. Bounds for each client: a frame of 64 KiB (above it 1009), 1 MiB that waits behind a command (above it 3013), and
 * 256 KiB of replies, or one longer reply, until it has read them. Bounds for all clients: the time of a turn, see `CommandTurns`, and 256 MiB of
 * long replies that wait to be read, and one more.
 */
export class Commands {
	readonly #parts: CommandsParts;
	/** Replies to the client whose commands are being executed; empty again before anything else runs, or they would reach another client. */
	readonly #replies: Uint8Array[] = [];
	#repliesBytes = 0;
	readonly #turns: CommandTurns;

	constructor(parts: CommandsParts) {
		this.#parts = parts;
		this.#turns = parts.turns;
	}

	/** The memory of `message` is not valid after this returns. */
	take(session: CentrifugeSession, message: ArrayBuffer): void {
		// The server has closed this connection, or is about to: nothing more is accepted on it.
		if (session.leaving !== 0) return;
		if (message.byteLength > frameBytesMax) {
			session.close(CloseCode.messageTooBig);
			return;
		}
		// A copy: payloads point into it, and commands that wait need them later.
		const frame = new Uint8Array(message.slice(0));
		const { commands, error } = session.framing.codec.decodeCommands(frame);
		const { backlog } = session;
		if (backlog === null) {
			try {
				this.#work(session, commands, 0, error !== null);
			} catch (defect) {
				this.#clear();
				throw defect;
			}
			return;
		}
		const bytes = frame.length + overheadBytes;
		backlog.bytes += bytes;
		backlog.frames.push({ commands, at: 0, isBroken: error !== null, bytes });
		if (backlog.bytes > backlogBytesMax) session.close(DisconnectCode.tooManyRequests);
	}

	/** False = a command waits, or the connection is closing. */
	#work(session: CentrifugeSession, commands: readonly Command[], from: number, isBroken: boolean): boolean {
		for (let at = from; at < commands.length && session.leaving === 0; ) {
			const command = commands[at]!;
			let waits: Promise<Conclude> | undefined;
			if (this.#turns.isOver) waits = this.#turns.next();
			else if (this.#mustWait(session, command)) waits = this.#parts.room.free(session).then(() => nothing);
			else {
				at++;
				waits = this.#carryOut(session, command);
			}
			if (waits === undefined) continue;
			session.backlog ??= { frames: [], bytes: 0 };
			session.backlog.frames.unshift({ commands, at, isBroken, bytes: 0 });
			this.#flush(session);
			void this.#goOn(session, waits);
			return false;
		}
		if (isBroken) this.#end(session, DisconnectCode.badRequest);
		this.#flush(session);
		return session.leaving === 0;
	}

	/** Never rejects. From the reply to what has waited up to the flush is one step: several clients may have waited for the same promise. */
	async #goOn(session: CentrifugeSession, waits: Promise<Conclude>): Promise<void> {
		try {
			const conclude = await waits;
			const { backlog } = session;
			// The client has gone in the meantime.
			if (backlog === null || session.leaving !== 0) return;
			for (let waitsOn = conclude(); waitsOn !== undefined; waitsOn = conclude()) {
				await waitsOn;
				if (session.isGone) return;
			}
			if (this.#repliesBytes >= replyBytesMax) {
				await this.#untilRead(session);
				if (session.isGone) return;
			}
			for (let next = backlog.frames.shift(); next !== undefined; next = backlog.frames.shift()) {
				backlog.bytes -= next.bytes;
				if (!this.#work(session, next.commands, next.at, next.isBroken)) return;
			}
			session.backlog = null;
		} catch (error) {
			this.#clear();
			this.#parts.failed(error);
			session.close(CloseCode.internalError);
		}
	}

	/** Whether the reply may be long, and those that nobody reads take up too much memory already. */
	#mustWait(session: CentrifugeSession, command: Command): boolean {
		const { method } = command;
		const mayBeLong = method === "history" || method === "presence" || (command.method === "subscribe" && command.request.recover);
		return mayBeLong && this.#parts.room.isFull(session);
	}

	/** A promise when the command has to wait: of what ends it, to be called in the step that flushes. */
	#carryOut(session: CentrifugeSession, command: Command): Promise<Conclude> | undefined {
		if (command.method === "pong") {
			if (!this.#parts.pong(session)) this.#end(session, DisconnectCode.badRequest);
			return undefined;
		}
		if (command.method === "unknown" || session.state !== (command.method === "connect" ? "new" : "connected")) {
			this.#end(session, DisconnectCode.badRequest);
			return undefined;
		}
		const { method } = command;
		this.#parts.counters.add(commandCounters[method], 1);
		if (method !== "connect" && !this.#parts.rates.take(session, method)) {
			// A message has no reply, and is not lost silently.
			const outcome = method === "send" ? ends(DisconnectCode.tooManyRequests) : fails(ErrorCode.tooManyRequests);
			this.#conclude(session, method, command.id, outcome);
			return undefined;
		}
		const handle = this.#parts.handlers[method] as Handle<Method>;
		const outcome = handle(session, command.request);
		if (!(outcome instanceof Promise)) {
			this.#conclude(session, method, command.id, outcome);
			return this.#repliesBytes < replyBytesMax ? undefined : this.#untilRead(session);
		}
		return outcome.then((later) => () => {
			// Many may have waited for one answer. Subscribe and connect reply in the step that subscribes: they look before it.
			if (method === "presence" && this.#parts.room.isFull(session)) return this.#parts.room.free(session);
			this.#conclude(session, method, command.id, later);
			return undefined;
		});
	}

	#conclude(session: CentrifugeSession, method: Method, id: number, outcome: Outcome): void {
		if (outcome === null) return;
		if ("ends" in outcome) this.#end(session, outcome.ends);
		else if ("closes" in outcome) {
			this.#flush(session);
			session.disconnect(outcome.closes.code, outcome.closes.reason);
		} else if ("encoded" in outcome) this.#push(session.framing.codec.replyWithId(id, outcome.encoded));
		else if ("fails" in outcome) {
			const error = replyErrors[outcome.fails];
			this.#parts.counters.add(errorCounters[method === "subscribe" ? "subscribe" : "other"][outcome.fails], 1);
			this.#reply(session, { id, error });
			if (session.state !== "connected") session.state = "failed";
		} else {
			this.#reply(session, { id, ...outcome });
			if (method === "connect" && "error" in outcome) session.state = "failed";
		}
	}

	/** Large replies leave now. A client that reads none of them for long gets the next ones too, and is closed when too much waits for it. */
	#untilRead(session: CentrifugeSession): Promise<Conclude> {
		this.#flush(session);
		return this.#turns.read(() => session.isGone || session.transport.getBufferedAmount() <= replyBytesMax);
	}

	#reply({ framing }: CentrifugeSession, reply: Reply): void {
		this.#push(framing.encode(reply));
	}

	#push(encoded: Uint8Array): void {
		this.#replies.push(encoded);
		this.#repliesBytes += encoded.length;
	}

	/** Closes the connection after the replies that are still to be sent. */
	#end(session: CentrifugeSession, code: DisconnectCode): void {
		this.#flush(session);
		session.close(code);
	}

	#clear(): void {
		this.#replies.length = 0;
		this.#repliesBytes = 0;
	}

	#flush(session: CentrifugeSession): void {
		if (this.#replies.length === 0) return;
		const replies = this.#replies.splice(0);
		this.#repliesBytes = 0;
		const { framing } = session;
		if (session.leaving !== 0) return;
		const frame = framing.frame(replies);
		if (session.reply(frame)) framing.codec.release(frame);
	}
}

const nothing: Conclude = () => undefined;

export const fails = (code: ErrorCode): Outcome => failures[code];
export const ends = (code: DisconnectCode): Outcome => ({ ends: code });

/** Created once, so that an error reply allocates nothing. */
const failures = Object.fromEntries(Object.values(ErrorCode).map((code) => [code, { fails: code }])) as Record<ErrorCode, Outcome>;

/** The outcome of a step that was retried in later turns; null = it did not succeed in time. */
export function orInternal(outcome: Outcome | Promise<Outcome>): Outcome | Promise<Outcome> {
	const orFailed = (settled: Outcome): Outcome => settled ?? fails(ErrorCode.internal);
	return outcome instanceof Promise ? outcome.then(orFailed) : orFailed(outcome);
}
