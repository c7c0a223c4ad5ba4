import { type Command, DisconnectCode, ErrorCode, type Method, type Reply, type Requests, replyErrors } from "@shardcast/protocol";
import { type Counters, commandCounters, errorCounters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { CommandRates } from "../command-rates.ts";
import type { CommandTurns } from "./command-turns.ts";
import type { ReplyRoom } from "./reply-room.ts";

/** A reply in the session's encoding, still without its id. */
export interface EncodedReply {
	readonly encoded: Uint8Array;
}

/** A disconnect that a backend has chosen, with a code from 3000 to 4999. */
interface ChosenDisconnect {
	readonly code: number;
	readonly reason: string;
}

/** The result of a command: the body of its reply, encoded or not; an error; or a disconnect. */
export type Outcome =
	| Omit<Reply, "id" | "push">
	| EncodedReply
	| { readonly fails: ErrorCode }
	| { readonly ends: DisconnectCode }
	| { readonly closes: ChosenDisconnect }
	| null;

/** Runs one method. Null = no reply. A promise when it has to wait; later commands of the client wait for it. */
export type Handle<M extends Method> = (session: CentrifugeSession, request: Requests[M]) => Outcome | Promise<Outcome>;
type CommandHandlers = { readonly [M in Method]: Handle<M> };

interface CommandsParts {
	readonly handlers: CommandHandlers;
	readonly counters: Pick<Counters, "add">;
	/** Whether this frame answered an outstanding ping. */
	readonly pong: (session: CentrifugeSession) => boolean;
	/** A command that had to wait failed because of a defect. Its connection is closed. */
	readonly failed: (error: unknown) => void;
	/** Whether the client, and its user, may send one more command now. */
	readonly rates: Pick<CommandRates, "take">;
	/** How long commands may run in one turn of the loop. */
	readonly turns: CommandTurns;
	/** Memory for long replies, shared by all clients of a shard. */
	readonly room: ReplyRoom;
}

/** Finishes a command that had to wait. If it returns a promise, the command has to wait again; call it again after that. */
type Conclude = () => Promise<void> | undefined;

/** Longest frame a client may send. */
export const frameBytesMax = 65_536;
/** The most bytes of one client that may wait behind one of its commands. */
const backlogBytesMax = 1024 * 1024;
/** Replies larger than this are sent before the next command runs, which waits until the client has read them. */
const replyBytesMax = 256 * 1024;
/** What a waiting frame counts for in addition to its bytes. */
const overheadBytes = 512;

/**
 * Runs the commands in the frames of clients: strictly in order for each client, even when a command has to wait, and with all replies to a
 * frame in one write. A violation of the protocol closes the connection after the replies to earlier commands.
 *
 * Owned by the shard's loop. Bounds for each client: frames of 64 KiB (beyond that 1009), 1 MiB waiting behind a command (beyond that 3013), and
 * 256 KiB of unread replies, or one longer reply. Bounds for all clients: the time of a turn, see `CommandTurns`, and 256 MiB of unread long
 * replies plus one reply.
 */
export class Commands {
	readonly #parts: CommandsParts;
	/** Replies to the client whose commands are running. Must be empty before anything else runs, or they would reach another client. */
	readonly #replies: Uint8Array[] = [];
	#repliesBytes = 0;
	readonly #turns: CommandTurns;

	constructor(parts: CommandsParts) {
		this.#parts = parts;
		this.#turns = parts.turns;
	}

	/** `message` is not valid after this returns. */
	take(session: CentrifugeSession, message: ArrayBuffer): void {
		// The server is closing this connection, so it accepts nothing more.
		if (session.leaving !== 0) return;
		if (message.byteLength > frameBytesMax) {
			session.close(CloseCode.messageTooBig);
			return;
		}
		// Copied, because payloads point into the frame, and commands that wait need them later.
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

	/** Runs commands from an index. False = a command waits, or the connection is closing. */
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
			void this.#resume(session, waits);
			return false;
		}
		if (isBroken) this.#end(session, DisconnectCode.badRequest);
		this.#flush(session);
		return session.leaving === 0;
	}

	/**
	 * Continues after a command that had to wait. Never rejects. The reply and the flush are one step, since several clients may have waited for
	 * the same promise.
	 */
	async #resume(session: CentrifugeSession, waits: Promise<Conclude>): Promise<void> {
		try {
			const conclude = await waits;
			const { backlog } = session;
			// The client disconnected in the meantime.
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

	/** Whether the reply may be long while unread replies already take too much memory. */
	#mustWait(session: CentrifugeSession, command: Command): boolean {
		const { method } = command;
		const mayBeLong = method === "history" || method === "presence" || (command.method === "subscribe" && command.request.recover);
		return mayBeLong && this.#parts.room.isFull(session);
	}

	/** Runs one command. A promise when it has to wait: its function must be called in the same step as the flush. */
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
			// A message has no reply, so the client is closed instead of losing it silently.
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
			// Many clients may have waited for one answer. Subscribe and connect reply in the step that subscribes, so they check before that.
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

	/**
	 * Sends large replies now and waits until they are read. A client that reads nothing for long gets further replies anyway, and is closed
	 * when too many bytes wait for it.
	 */
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

	/** Closes the connection after the remaining replies. */
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

/** The outcome of a step that was retried in later turns; an internal error if it did not succeed in time. */
export function orInternal(outcome: Outcome | Promise<Outcome>): Outcome | Promise<Outcome> {
	const orFailed = (settled: Outcome): Outcome => settled ?? fails(ErrorCode.internal);
	return outcome instanceof Promise ? outcome.then(orFailed) : orFailed(outcome);
}
