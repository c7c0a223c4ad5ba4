import type { Workers } from "@shardcast/control";
import { type AdminAnswer, type AdminCall, adminVersionHeader, jsonLine, refusal } from "@shardcast/http";
import type { RunningOperation } from "../operations/operations.ts";
import { ArgumentError, parseArguments } from "./arguments.ts";
import { commandText } from "./command-text.ts";
import { type AdminCluster, type OperationSummary, Refused, type Verb } from "./verb.ts";
import { type OperationOutcome, type VerbRun, VerbRuns } from "./verb-runs.ts";
import { verbOf, verbs } from "./verbs/index.ts";

/** Longest time that any call waits for events. */
export const waitMsMax = 10_000;

/** The status of an answer whose operation has ended. */
const statuses = { done: 200, partly: 200, refused: 409, failed: 500 } as const satisfies Record<OperationOutcome, number>;

/** Who has begun what no verb has. */
const theCluster = "the cluster";

interface AdminServiceParts {
	/** All but what this service knows itself. */
	readonly cluster: Omit<AdminCluster, "operations" | "cancel">;
	/** Writes an audit line. */
	readonly audit: (fields: object, text: string) => void;
	/** Gets the error of an operation that has failed. */
	readonly onError: (text: string, error: unknown) => void;
	/** Adds an event to the console. */
	readonly tell: AdminCluster["tell"];
	/** All by default. */
	readonly verbs?: readonly Verb[];
}

/** Answers the calls of the admin interface, wherever they come from: they are already admitted. Owned by the supervisor. */
export class AdminService {
	/** Operations that have ended and were to change something; refused ones, too. */
	readonly counts: Record<OperationOutcome, number> = { done: 0, partly: 0, refused: 0, failed: 0 };
	readonly #parts: AdminServiceParts;
	readonly #operations: VerbRuns;

	constructor(parts: AdminServiceParts) {
		this.#parts = parts;
		const cluster: AdminCluster = Object.assign(Object.create(null), parts.cluster, {
			operations: () => this.#running(),
			cancel: () => this.#operations.cancelExclusive()?.summary ?? this.#cancelOwn(),
		});
		this.#operations = new VerbRuns({ cluster, onEnd: (operation, end, error) => this.#onEnd(operation, end, error) });
	}

	/** Those of verbs, and what the cluster has begun by itself. */
	#running(): readonly OperationSummary[] {
		const { running } = this.#operations;
		const given = running.filter(({ verb }) => verb.changes).map(({ summary }) => summary);
		const own = running.some(({ verb }) => verb.isExclusive === true) ? null : this.#own;
		if (own === null) return given;
		const { operation, startedAt, text } = own;
		return [{ id: null, verb: operation, command: operation, who: theCluster, startedAt, step: text }, ...given];
	}

	/** Ends what the cluster has begun by itself, or at a signal. */
	#cancelOwn(): ReturnType<AdminCluster["cancel"]> {
		const own = this.#own;
		if (own === null) return null;
		this.#parts.cluster.shards?.operations.end("it was cancelled");
		return { command: own.operation, who: theCluster };
	}

	/** What runs, and is not `undrain`. While no exclusive verb runs, the cluster has begun it by itself, or at a signal. */
	get #own(): RunningOperation | null {
		const own = this.#parts.cluster.shards?.operations.running ?? null;
		// It is a verb, and not an exclusive one.
		return own?.operation === "undrain" ? null : own;
	}

	/** The cluster stops: asks all operations to end early. */
	stop(): void {
		this.#operations.stop();
	}

	readonly handle = async (call: AdminCall): Promise<AdminAnswer> => {
		switch (call.kind) {
			case "verbs":
				return this.#json(200, { version: this.#parts.cluster.version, workers: this.#workers, verbs: this.#verbs().map(described) });
			case "status":
				return this.#run(call, { verb: "status", arguments: {}, wait: waitMsMax });
			case "run": {
				const request = requestIn(call.body);
				return typeof request === "string" ? this.#refuse("bad_request", request) : this.#run(call, request);
			}
			case "operation":
				return this.#follow(new URLSearchParams(call.query), call);
			default:
				return call.kind satisfies never;
		}
	};

	get #workers(): Workers {
		return this.#parts.cluster.workers;
	}

	#verbs(): readonly Verb[] {
		return (this.#parts.verbs ?? verbs).filter(({ workers }) => workers.includes(this.#workers));
	}

	async #run({ who, waitMsMax }: AdminCall, request: RunRequest): Promise<AdminAnswer> {
		const verb = this.#verbs().find(({ name }) => name === request.verb);
		if (verb === undefined) return this.#refuse("not_found", this.#unknownVerb(request.verb));
		const command = commandText(verb, request.arguments);
		let operation: VerbRun;
		try {
			const args = parseArguments(verb.arguments, request.arguments);
			verb.check?.(args);
			if (verb.changes && this.#parts.cluster.isStopping()) throw new Refused("the cluster is stopping");
			if (verb.changes) this.#parts.audit({ who, verb: verb.name, command }, `admin: ${who} runs "${command}"`);
			operation = this.#operations.start(verb, args, { command, who });
		} catch (error) {
			if (error instanceof ArgumentError) return this.#refuse("bad_request", `${verb.name}: ${error.message}`);
			if (!(error instanceof Refused)) throw error;
			this.counts.refused++;
			this.#parts.audit(
				{ who, verb: verb.name, command, outcome: "refused", reason: error.message },
				`admin: "${command}" of ${who} is refused: ${error.message}`,
			);
			return this.#refuse("conflict", error.message);
		}
		await operation.wait(0, Math.min(request.wait, waitMsMax), "end");
		return this.#state(operation, 0);
	}

	async #follow(query: URLSearchParams, { waitMsMax }: AdminCall): Promise<AdminAnswer> {
		const operation = this.#operations.get(query.get("id") ?? "");
		if (operation === null) return this.#refuse("not_found", "there is no such operation, or it has ended long ago");
		const [after, wait] = [countIn(query, "after", 0), countIn(query, "wait", 0)];
		if (after === null || wait === null) return this.#refuse("bad_request", "after and wait are whole numbers from 0");
		await operation.wait(after, Math.min(wait, waitMsMax), "event");
		return this.#state(operation, after);
	}

	#state(operation: VerbRun, after: number): AdminAnswer {
		const { id, verb, command, who, startedAt, end } = operation;
		const outcome = end?.outcome ?? null;
		const status = outcome === null ? 202 : statuses[outcome];
		return this.#json(status, { id, verb: verb.name, command, who, startedAt, outcome, ...operation.eventsAfter(after) });
	}

	#unknownVerb(name: string): string {
		const { version } = this.#parts.cluster;
		const elsewhere = verbOf(name, this.#workers === "shard" ? "gateway" : "shard");
		if (elsewhere !== null)
			return `"${elsewhere.name}" does not exist for a ${this.#workers === "shard" ? "cluster of shards" : "gateway"}`;
		const known = this.#verbs().map((verb) => verb.name);
		return `this supervisor (shardcast ${version}) does not know "${name.slice(0, 40)}"; it knows ${known.join(", ")}`;
	}

	#json(status: number, body: object): AdminAnswer {
		return { status, body: jsonLine(body), headers: this.#headers };
	}

	#refuse(code: "bad_request" | "not_found" | "conflict", message: string): AdminAnswer {
		const { status, body } = refusal(code, message);
		return { status, body: String(body), headers: this.#headers };
	}

	get #headers(): Record<string, string> {
		return { "Cache-Control": "no-store", [adminVersionHeader]: this.#parts.cluster.version };
	}

	#onEnd({ verb, command, who, startedAt }: VerbRun, end: NonNullable<VerbRun["end"]>, error: unknown): void {
		const { outcome, reason } = end;
		const { audit, tell, onError } = this.#parts;
		if (outcome === "failed") onError(`admin: "${command}" of ${who} failed: ${reason}`, error);
		if (!verb.changes) return;
		this.counts[outcome]++;
		const tookMs = end.at - startedAt;
		const why = reason === undefined ? "" : `: ${reason}`;
		const text = `"${command}" of ${who}: ${outcome}${why}`;
		audit({ who, verb: verb.name, command, outcome, tookMs, ...(reason !== undefined && { reason }) }, `admin: ${text}, ${tookMs} ms`);
		tell(outcome === "done" ? "info" : outcome === "failed" ? "bad" : "warn", text);
	}
}

interface RunRequest {
	readonly verb: string;
	readonly arguments: Readonly<Record<string, unknown>>;
	/** How long the answer may wait for the end. */
	readonly wait: number;
}

/** @returns what is wrong with it, if it is a text. */
function requestIn(body: string): RunRequest | string {
	let parsed: unknown;
	try {
		parsed = JSON.parse(body);
	} catch {
		return 'the body is not JSON; it is like {"verb": "status"}';
	}
	if (!isTable(parsed)) return 'the body is not an object; it is like {"verb": "status"}';
	const { verb, arguments: given = {}, wait = waitMsMax, ...others } = parsed;
	const unknown = Object.keys(others)[0];
	if (unknown !== undefined) return `unknown field "${unknown.slice(0, 40)}"; there is verb, arguments, wait`;
	if (typeof verb !== "string") return "verb is missing";
	if (!isTable(given)) return "arguments is not an object";
	if (typeof wait !== "number" || !(wait >= 0)) return "wait is not a number of milliseconds";
	return { verb, arguments: given, wait: Math.min(wait, waitMsMax) };
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function countIn(query: URLSearchParams, name: string, absent: number): number | null {
	const text = query.get(name);
	if (text === null) return absent;
	return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/** A verb for programs and the console. */
function described({ name, summary, arguments: table, changes, isExclusive = false, example }: Verb): object {
	const args = Object.entries(table).map(([argument, { place, placeholder, isRequired, help, choices }]) => ({
		name: argument,
		place,
		placeholder,
		required: isRequired,
		help,
		...(choices !== undefined && { choices }),
	}));
	return { name, summary, changes, exclusive: isExclusive, arguments: args, example };
}
