import { print } from "@shardcast/process";
import type { OperationEvent } from "../verb-runs.ts";

/** How the end of a command is told: as that of an operation, or that there was no answer. */
export interface CommandEnd {
	readonly outcome: Extract<OperationEvent, { type: "end" }>["outcome"] | "invalid" | "unreachable" | "interrupted";
	readonly reason?: string;
	readonly result?: unknown;
	readonly lines: readonly string[];
}

/** Where a command writes what it hears. */
export interface Output {
	event(event: OperationEvent): Promise<void>;
	/** Something about the command itself. */
	note(text: string): void;
	end(end: CommandEnd): Promise<void>;
}

/** Text for people: the result on stdout, all else on stderr. */
export const textOutput: Output = {
	async event(event) {
		if (event.type === "progress") toStderr(event.text);
		else if (event.type === "warning") toStderr(`warning: ${event.text}`);
	},
	note: toStderr,
	async end({ outcome, reason, lines }) {
		if (lines.length > 0) await print(`${lines.join("\n")}\n`);
		if (outcome === "done") return;
		const what = { partly: "partly done", refused: "refused", failed: "failed", invalid: "", unreachable: "", interrupted: "" }[outcome];
		toStderr([what, reason ?? ""].filter((part) => part !== "").join(": "));
	},
};

/** For programs: a line of JSON for each event, the last of type "end". */
export const jsonOutput: Output = {
	async event(event) {
		if (event.type !== "end") await line(event);
	},
	note: toStderr,
	async end({ outcome, reason, result }) {
		await line({ type: "end", at: Date.now(), outcome, ...(reason !== undefined && { reason }), ...(result !== undefined && { result }) });
	},
};

function toStderr(text: string): void {
	process.stderr.write(`shardcast: ${text}\n`);
}

async function line(value: object): Promise<void> {
	await print(`${JSON.stringify(value)}\n`);
}
