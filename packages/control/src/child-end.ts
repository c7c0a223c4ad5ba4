import type { Certificate, Config } from "@shardcast/config";
import { ignoreSignals, StartupError } from "@shardcast/process";
import type { PartAnswers } from "./asking/part-answers.ts";
import { PendingReplies, replyOf } from "./asking/pending-replies.ts";
import type { Ask, Question } from "./asking/question.ts";
import { SharedAnswers } from "./asking/shared-answers.ts";
import type { BackendPlace, FromChild, StartMessage, ToChild } from "./messages.ts";
import { certificatesQuestion } from "./questions/certificates-question.ts";
import { version } from "./version.ts";

/** A child's handlers for messages of the supervisor. */
interface ChildHandlers {
	/** Resolves when the child serves. A rejection is reported as fatal (a StartupError with its exit status) and ends the process. */
	start(message: StartMessage): Promise<{ readonly port?: number }>;
	/** Finishes accepted work within `deadlineMs` from now; if `immediate`, after closing the clients; if `replaced`, another process takes its place at once. Resolves with what was cut off, which is reported at once. */
	drain(deadlineMs: number, immediate: boolean, replaced: boolean): Promise<{ readonly cutOff: number; readonly detail?: string }>;
	/** Called after that. When it has resolved, the process exits with status 0. */
	stop?(): Promise<void>;
	/**
	 * Applies new options. Called only after the child serves, in order. If it throws, it must not have changed anything: the supervisor is told,
	 * and the child keeps its options.
	 */
	reload?(config: Config): void;
	/** Sets the certificates for new connections; may throw like `reload`. All processes keep the old ones then. */
	useCertificates?(certificates: readonly Certificate[]): void;
	/** Loads the route module again; may throw like `reload`. */
	reloadRoute?(): void;
	/** Uses these backends from now on. Called only after the child serves, in order. */
	useBackends?(backends: readonly BackendPlace[]): void;
	membership?(): void;
	/** Its program could not be loaded: this is reported as fatal at once. */
	readonly problem?: unknown;
	/** This child's answers to questions. */
	readonly parts?: PartAnswers;
}

export interface ChildControl {
	/** Reports why this child cannot continue, and exits. */
	fatal(error: unknown): void;
	/** Makes the supervisor put a question to all processes. Rejects when it cannot, or does not answer within twice the question's deadline. */
	readonly ask: Ask;
}

/**
 * The child's end of the fork IPC: one call per process, from its `main.ts`.
 *
 * When the channel closes, the supervisor is gone, and the child exits at once: nothing would restart, drain or reap it.
 * SIGINT, SIGTERM and SIGHUP are ignored.
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
			// A closed channel is not an error here: its "disconnect" ends the process.
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

	/** A serving process continues, even if new options are wrong. */
	const change = async (apply: () => void): Promise<void> => {
		try {
			apply();
		} catch (error) {
			await tell({ type: "notReloaded", message: describe(error).message });
		}
	};

	const answerOf = async (question: string, request: unknown): Promise<unknown> => {
		if (question !== certificatesQuestion.name) return handlers.parts?.answer(question, request);
		handlers.useCertificates?.(request as readonly Certificate[]);
		return null;
	};

	const handle = async (message: ToChild): Promise<void> => {
		switch (message.type) {
			case "start": {
				if (starting !== null) return;
				const start = handlers.start(message);
				starting = start;
				const { port } = await start;
				await tell({ type: "ready", version, ...(port !== undefined && { port }) });
				return;
			}
			case "drain": {
				if (draining) return;
				draining = true;
				const outcome = await handlers.drain(message.deadlineMs, message.immediate === true, message.replaced === true);
				// Before it stops: what was cut off counts even if the supervisor has to kill it then.
				await tell({ type: "drained", ...outcome });
				await handlers.stop?.();
				process.exit(0);
				return;
			}
			case "config":
				// A failed start is reported elsewhere.
				if (await succeeds(starting)) await change(() => handlers.reload?.(message.config));
				return;
			case "certificates":
				if (await succeeds(starting)) await change(() => handlers.useCertificates?.(message.certificates));
				return;
			case "reloadRoute":
				if (await succeeds(starting)) await change(() => handlers.reloadRoute?.());
				return;
			case "backends":
				if (await succeeds(starting)) handlers.useBackends?.(message.backends);
				return;
			case "membership":
				handlers.membership?.();
				return;
			case "request": {
				// If a question cannot be answered, only the answer is lost, not the process.
				const reply = await replyOf(answerOf(message.question, message.request));
				await tell({ type: "reply", id: message.id, reply });
				return;
			}
			case "answer":
				asked.settle(message.id, message.reply);
				return;
			default:
				// A newer supervisor may send messages that this child does not know.
				message satisfies never;
		}
	};

	process.on("message", (message) => {
		handle(message as ToChild).catch(fatal);
	});
	process.once("disconnect", () => process.exit(0));
	ignoreSignals();
	if (handlers.problem === undefined) void tell({ type: "loaded" });
	else fatal(handlers.problem);
	const ask: Ask = async <Answer>({ name, deadlineMs, isOrder }: AskedQuestion, request: unknown) => {
		// Longer than the supervisor's deadline for the processes, so that an answer without a hung process still arrives.
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
	// Not an expected error: the stack helps.
	const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
	return { message, exitStatus: 1, flag: undefined };
}
