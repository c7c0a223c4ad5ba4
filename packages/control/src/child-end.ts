import type { Config } from "@shardcast/config";
import { StartupError } from "@shardcast/process";
import type { FromChild, PartQuestion, StartMessage, ToChild, WholeQuestion } from "./messages.ts";
import { PendingReplies } from "./pending-replies.ts";

/** What a child does when its supervisor asks. */
export interface ChildHandlers {
	/** Resolves once the child serves; a rejection is reported as fatal (a StartupError with its own exit status) and ends the process. */
	start(message: StartMessage): Promise<{ readonly port?: number }>;
	/** Works off what is there within `deadlineMs` from now. After it has resolved the process exits with status 0. */
	drain(deadlineMs: number): Promise<{ readonly cutOff: number; readonly detail?: string }>;
	/** Settings that hold from now on. Called once the child serves, in the order in which they came. */
	reload?(config: Config): void;
	/** Load the route module again. */
	reloadRoute?(): void;
	membership?(): void;
	request?(question: PartQuestion): Promise<unknown>;
}

export interface ChildControl {
	/** Reports why this child cannot go on and exits. */
	fatal(error: unknown): void;
	/** Asks the supervisor for what it collects from all processes. Rejects when no answer comes within the deadline. */
	ask(question: WholeQuestion, deadlineMs: number): Promise<unknown>;
}

/**
 * The child's end of the fork IPC: one call per process, from its `main.ts`.
 *
 * When the channel closes the supervisor is gone, and the child leaves at once: nobody would restart, drain or reap it.
 * SIGINT, SIGTERM and SIGHUP are ignored: a terminal and systemd send them to the whole group, but the order of a stop is the supervisor's,
 * and so is the reading of settings.
 */
export function connectToParent(handlers: ChildHandlers): ChildControl {
	if (process.send === undefined) {
		throw new StartupError("this program is started by the supervisor; run `shardcast multi` or `shardcast single`", { exitStatus: 2 });
	}
	let starting: Promise<unknown> | null = null;
	let draining = false;
	const asked = new PendingReplies("the supervisor");

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
				if (await succeeds(starting)) handlers.reload?.(message.config);
				return;
			case "reloadRoute":
				if (await succeeds(starting)) handlers.reloadRoute?.();
				return;
			case "membership":
				handlers.membership?.();
				return;
			case "request": {
				// A question that cannot be answered costs the answer, not the process.
				const data = (await handlers.request?.(message.question).catch(() => null)) ?? null;
				await tell({ type: "reply", id: message.id, data });
				return;
			}
			case "answer":
				asked.settle(message.id, message.data);
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
	const ask = (question: WholeQuestion, deadlineMs: number): Promise<unknown> =>
		asked.wait(question.what, deadlineMs, (id) => {
			void tell({ type: "ask", id, question });
			return process.connected;
		});
	return { fatal, ask };
}

/** Longer than the supervisor gives the processes to answer, so that an answer without a hung one still comes. */
const askForMetricsMs = 2000;

/** The metrics of the whole cluster, as GET /metrics gives them. Rejects when the supervisor does not answer in time. */
export async function askForMetrics(control: ChildControl): Promise<string> {
	return String(await control.ask({ what: "metrics" }, askForMetricsMs));
}

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
