import { setTimeout as sleep } from "node:timers/promises";
import { AdminClient, AnsweredError, type Endpoint, type OperationState, Unreachable } from "./admin-client.ts";
import { ExitStatus } from "./exit-status.ts";
import type { CommandEnd, Output } from "./output.ts";

/** How long one call waits for events. */
const followMs = { socket: 5000, http: 2500 } as const;
/** How long an operation may be out of reach, such as while the balancer in between is restarted. */
const awayMsMax = 30_000;
const retryMs = 250;

interface RunVerb {
	readonly endpoint: Endpoint;
	readonly verb: string;
	readonly args: Readonly<Record<string, unknown>>;
	readonly output: Output;
	/** Of this command. */
	readonly version: string;
	/** Aborted by Ctrl-C. */
	readonly interrupted: AbortSignal;
}

/** Starts a verb, tells its events, and waits for its end. @returns the exit status. */
export async function runVerb(run: RunVerb): Promise<number> {
	const end = await ended(run);
	await run.output.end(end);
	return ExitStatus[end.outcome];
}

async function ended({ endpoint, verb, args, output, version, interrupted }: RunVerb): Promise<CommandEnd> {
	const client = new AdminClient(endpoint);
	let state: OperationState;
	try {
		state = await client.run(verb, args);
	} catch (error) {
		return notStarted(error);
	}
	if (client.version !== "" && client.version !== version)
		output.note(`the cluster runs version ${client.version}, and this command is of version ${version}`);
	const gone = new Promise<"interrupted">((resolve) => interrupted.addEventListener("abort", () => resolve("interrupted"), { once: true }));
	let awaySince: number | null = null;
	for (;;) {
		if (state.skipped > 0) output.note(`${state.skipped} earlier events are no longer kept`);
		for (const event of state.events) {
			await output.event(event);
			if (event.type === "end") return event;
		}
		try {
			const next: OperationState | "interrupted" = interrupted.aborted
				? "interrupted"
				: await Promise.race([client.follow(state.id, state.next, endpoint.isSocket ? followMs.socket : followMs.http), gone]);
			if (next === "interrupted") return { outcome: "interrupted", reason: goesOn(state), lines: [] };
			state = next;
			awaySince = null;
		} catch (error) {
			awaySince ??= performance.now();
			const isAway = error instanceof Unreachable && error.mayReturn && performance.now() - awaySince < awayMsMax;
			if (!isAway) return lost(error, state);
			state = { ...state, events: [], skipped: 0 };
			await sleep(retryMs);
		}
	}
}

/** Nothing was started, as far as is known. */
function notStarted(error: unknown): CommandEnd {
	const reason = (error as Error).message;
	if (error instanceof AnsweredError)
		return { outcome: error.status >= 500 ? "unreachable" : error.status === 400 ? "invalid" : "refused", reason, lines: [] };
	if (error instanceof Unreachable) return { outcome: "unreachable", reason, lines: [] };
	throw error;
}

/** It was started, and then could no longer be followed. */
function lost(error: unknown, { command }: OperationState): CommandEnd {
	if (!(error instanceof AnsweredError || error instanceof Unreachable)) throw error;
	return { outcome: "unreachable", reason: `"${command}" was started, and its end is unknown: ${error.message}`, lines: [] };
}

function goesOn({ command }: OperationState): string {
	return `"${command}" goes on; \`shardcast status\` shows it, and \`shardcast cancel\` stops it`;
}
