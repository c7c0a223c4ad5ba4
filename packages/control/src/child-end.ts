import type { Config } from "@shardcast/config";
import { StartupError } from "@shardcast/process";
import type { FromChild, StartMessage, ToChild } from "./messages.ts";
import type { PartAnswers } from "./questions/part-answers.ts";
import { PendingReplies, replyOf } from "./questions/pending-replies.ts";
import type { Ask, Question } from "./questions/question.ts";
import { SharedAnswers } from "./questions/shared-answers.ts";

/** What a child does when its supervisor asks. */
export interface ChildHandlers {
	/** Resolves once the child serves; a rejection is reported as fatal (a StartupError with its own exit status) and ends the process. */
	start(message: StartMessage): Promise<{ readonly port?: number }>;
	/** Works off what is there within `deadlineMs` from now. After it has resolved the process exits with status 0. */
	drain(deadlineMs: number): Promise<{ readonly cutOff: number; readonly detail?: string }>;
	/**
	 * Options that hold from now on. Called once the child serves, in the order in which they came. One that throws has changed nothing:
	 * the supervisor is told, and the child goes on with the options it had.
	 */
	reload?(config: Config): void;
	/** Load the route module again; may throw like `reload`. */
	reloadRoute?(): void;
	membership?(): void;
	/** What this child has to say to questions. */
	readonly parts?: PartAnswers;
}

export interface ChildControl {
	/** Reports why this child cannot go on and exits. */
	fatal(error: unknown): void;
	/** Lets the supervisor put a question to all processes. Rejects when it cannot, or gives no answer within twice the question's deadline. */
	readonly ask: Ask;
}

/**
 * The child's end of the fork IPC: one call per process, from its `main.ts`.
 *
 * When the channel closes the supervisor is gone, and the child leaves at once: nobody would restart, drain or reap it.
 * SIGINT, SIGTERM and SIGHUP are ignored: a terminal and systemd send them to the whole group, but the order of a stop is the supervisor's,
 * and so is the reading of options.
 */
export function connectToParent(handlers: ChildHandlers): ChildControl {
	if (process.send === undefined) {
		throw new StartupError("this program is started by the supervisor; run `shardcast multi` or `shardcast single`", { exitStatus: 2 });
	}
	let starting: Promise<unknown> | null = null;
	let draining = false;
	const asked = new PendingReplies("the supervisor");
	const underWay = new SharedAnswers();

	const tell = (message: FromChild): Promise<void> =>
		new Promise((resolve) => {
			// A closed channel is no error here: its "disconnect" ends the process.
			if (!process.connected) return resolve();
			process.send!(message, undefined, undefined, () => resolve());
		});
	const leaveAfter = (message: FromChild, exitStatus: number): void => {
		void tell(message).then(() => process.exit(exitStatus));
	};
	const fatal = (error: unknown): void => {
		const { message, exitStatus, flag } = describe(error);
		leaveAfter({ type: "fatal", message, exitStatus, ...(flag === undefined ? {} : { flag }) }, exitStatus);
	};

	/** A process that serves goes on, whatever is wrong with new options. */
	const change = async (apply: () => void): Promise<void> => {
		try {
			apply();
		} catch (error) {
			await tell({ type: "notReloaded", message: describe(error).message });
		}
	};

	const handle = async (message: ToChild): Promise<void> => {
		switch (message.type) {
			case "start": {
				if (starting !== null) return;
				const start = handlers.start(message);
				starting = start;
				const { port } = await start;
				await tell(port === undefined ? { type: "ready" } : { type: "ready", port });
				return;
			}
			case "drain": {
				if (draining) return;
				draining = true;
				const outcome = await handlers.drain(message.deadlineMs);
				leaveAfter({ type: "drained", ...outcome }, 0);
				return;
			}
			case "config":
				// A start that fails says so itself.
				if (await succeeds(starting)) await change(() => handlers.reload?.(message.config));
				return;
			case "reloadRoute":
				if (await succeeds(starting)) await change(() => handlers.reloadRoute?.());
				return;
			case "membership":
				handlers.membership?.();
				return;
			case "request": {
				// A question that cannot be answered costs the answer, not the process.
				const reply = await replyOf(handlers.parts?.answer(message.question, message.request));
				await tell({ type: "reply", id: message.id, reply });
				return;
			}
			case "answer":
				asked.settle(message.id, message.reply);
				return;
			default:
				// A newer supervisor may say more than this child knows.
				message satisfies never;
		}
	};

	process.on("message", (message) => {
		handle(message as ToChild).catch(fatal);
	});
	process.once("disconnect", () => process.exit(0));
	process.on("SIGINT", ignore);
	process.on("SIGTERM", ignore);
	process.on("SIGHUP", ignore);
	const ask: Ask = async <Answer>({ name, deadlineMs, isOrder }: AskedQuestion, request: unknown) => {
		// Longer than the supervisor gives the processes to answer, so that an answer without a hung one still comes.
		const make = (): Promise<unknown> =>
			asked.wait(name, deadlineMs * 2, (id) => {
				void tell({ type: "ask", id, question: name, request });
				return process.connected;
			});
		return (await (isOrder === true ? underWay.alone(make) : underWay.of(name, request, make))) as Answer;
	};
	return { fatal, ask };
}

type AskedQuestion = Pick<Question<unknown, unknown, unknown>, "name" | "deadlineMs" | "isOrder">;

function ignore(): void {}

async function succeeds(promise: Promise<unknown> | null): Promise<boolean> {
	return promise === null
		? false
		: promise.then(
				() => true,
				() => false,
			);
}

function describe(error: unknown): { message: string; exitStatus: number; flag: string | undefined } {
	if (error instanceof StartupError) return { message: error.message, exitStatus: error.exitStatus, flag: error.flag };
	// Not an operating error that someone foresaw: the stack is what helps.
	const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
	return { message, exitStatus: 1, flag: undefined };
}
