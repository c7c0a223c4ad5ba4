import { pathToFileURL } from "node:url";
import { routeProblem } from "@shardcast/config";

/** The argument of a route function. `value` and headers are copies, which it may keep. */
interface RoutedRecord {
	readonly topic: string;
	readonly partition: number;
	readonly offset: number;
	readonly timestampMs: number;
	readonly key: string | null;
	readonly value: Uint8Array;
	readonly headers: Readonly<Record<string, Uint8Array | null>>;
}

/** Where a record goes: one channel, several, or an object that can also replace the payload. Null delivers it to nobody. */
export type RouteAnswer =
	| string
	| readonly string[]
	| null
	| undefined
	| { readonly channels?: string | readonly string[]; readonly payload?: string | Uint8Array; readonly binary?: boolean };

/**
 * The default export of a `--kafka-route` module. The ingest worker calls it for every record, in order. If it returns a promise,
 * the records of that broker wait for it.
 */
export type RouteFunction = (record: RoutedRecord) => RouteAnswer | Promise<RouteAnswer>;

/**
 * Loads a route module. The modules that it imports are not reloaded.
 * @param times how often this thread has loaded it before: Node reloads a module only under a new URL.
 * @throws when the module cannot be loaded or its default export is not a function; with file and line if known.
 */
export async function loadRouteFunction(path: string, times = 0): Promise<RouteFunction> {
	const { href } = pathToFileURL(path);
	try {
		const module = (await import(times === 0 ? href : `${href}?reload=${times}`)) as { default?: unknown };
		if (typeof module.default !== "function") throw new Error("its default export is not a function");
		return module.default as RouteFunction;
	} catch (error) {
		const what = error instanceof Error ? error.message : String(error);
		throw new Error((await routeProblem(path)) ?? `${path}: ${what}`, { cause: error });
	}
}

/** A normalised answer: no channels = everybody, no payload = that of the record. */
interface ParsedAnswer {
	readonly channels: readonly string[];
	readonly payload: Uint8Array | null;
	readonly binary: boolean | null;
}

const encoder = new TextEncoder();
const answerKeys: ReadonlySet<string> = new Set(["channels", "payload", "binary"]);

/** Null delivers the record to nobody. @throws TypeError for an answer that is not a RouteAnswer. */
export function parseAnswer(answer: unknown): ParsedAnswer | null {
	if (answer === null || answer === undefined) return null;
	if (typeof answer === "string" || Array.isArray(answer)) return { channels: channelNames(answer), payload: null, binary: null };
	if (typeof answer !== "object") throw new TypeError(`returned ${typeof answer}`);
	const unknown = Object.keys(answer).find((key) => !answerKeys.has(key));
	// Otherwise a misspelt "channels" would send the record to everybody.
	if (unknown !== undefined) throw new TypeError(`returned "${unknown}", which is none of ${[...answerKeys].join(", ")}`);
	const { channels, payload, binary } = answer as { channels?: unknown; payload?: unknown; binary?: unknown };
	if (payload !== undefined && typeof payload !== "string" && !(payload instanceof Uint8Array))
		throw new TypeError("returned a payload that is neither text nor bytes");
	if (binary !== undefined && typeof binary !== "boolean") throw new TypeError("returned a binary that is neither true nor false");
	return {
		channels: channels === undefined ? [] : channelNames(channels),
		payload: payload === undefined ? null : typeof payload === "string" ? encoder.encode(payload) : payload,
		binary: binary !== undefined ? binary : payload instanceof Uint8Array ? true : null,
	};
}

function channelNames(value: unknown): readonly string[] {
	const names = typeof value === "string" ? [value] : value;
	if (!Array.isArray(names) || names.length === 0 || names.some((name) => typeof name !== "string" || name === ""))
		throw new TypeError("returned channels that are not names");
	return names as readonly string[];
}
