import { setImmediate } from "node:timers/promises";
import { ErrorCode } from "@shardcast/protocol";
import { type JsonSpan, jsonText, scanJson } from "@shardcast/wire";
import { FieldError } from "../../json/fields.ts";
import { ApiCall, type ApiMethod } from "./api-call.ts";
import { ApiError, ApiForbidden } from "./api-error.ts";
import { errorText } from "./api-reply.ts";

/** Commands of one batch. */
export const batchCommandsMax = 1000;
/** Of all replies together; the commands behind them get an error. */
const repliesBytesMax = 16 * 1024 * 1024;
/** Those of `parallel` that wait for an answer at once: shards answer 64 questions at a time. */
const parallelMax = 16;

interface BatchCommand {
	readonly method: string;
	readonly params: JsonSpan;
}

/**
 * Carries the commands of a batch out, one after the other or some at a time; the replies are in the order of the commands. One that fails does
 * not stop the others.
 * @param methods by their names.
 */
export function batchMethod(methods: Readonly<Record<string, ApiMethod>>): ApiMethod {
	const execute = async (call: ApiCall, { method: name, params }: BatchCommand): Promise<string> => {
		try {
			const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
			if (method === undefined) throw new ApiError(ErrorCode.methodNotFound, name.slice(0, 40));
			if (!call.request.key.allowsMethod(name)) throw new ApiForbidden(ErrorCode.permissionDenied, `this key has no right to ${name}`);
			const result = await method(new ApiCall(call.request, call.body.subarray(params.start, params.end)));
			return `{"${name}":${Buffer.from(result).toString()}}`;
		} catch (error) {
			return errorText(error);
		}
	};
	return async (call) => {
		const { commands, parallel } = parsed(call.body);
		const replies: string[] = [];
		let bytes = 0;
		let next = 0;
		const worker = async (): Promise<void> => {
			while (next < commands.length) {
				const index = next++;
				replies[index] = bytes > repliesBytesMax ? tooLong : await execute(call, commands[index]!);
				bytes += replies[index].length;
				// Deliveries go on between the commands.
				if (index % 16 === 15) await setImmediate();
			}
		};
		await Promise.all(Array.from({ length: parallel ? parallelMax : 1 }, worker));
		return `{"replies":[${replies.join(",")}]}`;
	};
}

const tooLong = errorText(new ApiError(ErrorCode.limitExceeded, "the replies before it are too long; send smaller batches"));

/** Where the requests of the commands lie: their payloads are passed on as they are written. */
function parsed(body: Uint8Array): { readonly commands: readonly BatchCommand[]; readonly parallel: boolean } {
	let list: JsonSpan | null = null;
	let isParallel = "false";
	const text = (span: JsonSpan) => Buffer.from(body.subarray(span.start, span.end)).toString();
	const shape = scanJson(body, {
		member: (key, value) => {
			const name = jsonText(body, key);
			if (name === "commands") list = value;
			else if (name === "parallel") isParallel = value.end - value.start > 5 ? "?" : text(value);
			else throw new FieldError(`"${name.slice(0, 40)}" is not known here; "commands" and "parallel" are`);
		},
		element: () => {},
	});
	if (shape !== "object" || list === null) throw new FieldError('commands is missing: {"commands": [{"publish": {…}}]}');
	if (isParallel !== "true" && isParallel !== "false") throw new FieldError("parallel is neither true nor false");
	return { commands: commandsIn(body, list), parallel: isParallel === "true" };
}

function commandsIn(body: Uint8Array, { start, end }: JsonSpan): readonly BatchCommand[] {
	const commands: BatchCommand[] = [];
	const list = body.subarray(start, end);
	let found: BatchCommand[] = [];
	const shape = scanJson(list, {
		member: (key, value) => {
			found.push({ method: jsonText(list, key), params: { start: start + value.start, end: start + value.end } });
		},
		element: (isObject) => {
			if (!isObject || found.length !== 1) throw new FieldError(`commands[${commands.length}] is no object with one method`);
			if (commands.length === batchCommandsMax)
				throw new ApiError(ErrorCode.limitExceeded, `a batch has ${batchCommandsMax} commands at most`);
			commands.push(found[0]!);
			found = [];
		},
	});
	if (shape !== "array") throw new FieldError("commands is no list");
	return commands;
}
