import { ErrorCode } from "@shardcast/protocol";
import { type JsonSpan, jsonText, scanJson } from "@shardcast/wire";
import { FieldError } from "../../json/fields.ts";
import type { ApiMethod } from "./api-call.ts";
import { type ApiCommand, type ApiCommands, commandsMax } from "./api-commands.ts";
import { ApiError } from "./api-error.ts";

/** Runs a batch. The replies are in the order of its commands. */
export function batchMethod(all: Pick<ApiCommands, "run">): ApiMethod {
	return async (call) => {
		const { commands, parallel } = parsed(call.body);
		const replies = await all.run(call, commands, parallel, ({ method }, outcome) =>
			"result" in outcome ? `{"${method}":${outcome.result}}` : outcome.error,
		);
		return `{"replies":[${replies.join(",")}]}`;
	};
}

/** Locates the commands in the body, so that their payloads are passed on as written. */
function parsed(body: Uint8Array): { readonly commands: readonly ApiCommand[]; readonly parallel: boolean } {
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

function commandsIn(body: Uint8Array, { start, end }: JsonSpan): readonly ApiCommand[] {
	const commands: ApiCommand[] = [];
	const list = body.subarray(start, end);
	let found: ApiCommand[] = [];
	const shape = scanJson(list, {
		member: (key, value) => {
			found.push({ method: jsonText(list, key), params: { start: start + value.start, end: start + value.end } });
		},
		element: (isObject) => {
			if (!isObject || found.length !== 1) throw new FieldError(`commands[${commands.length}] is not an object with one method`);
			if (commands.length === commandsMax) throw new ApiError(ErrorCode.limitExceeded, `a batch has ${commandsMax} commands at most`);
			commands.push(found[0]!);
			found = [];
		},
	});
	if (shape !== "array") throw new FieldError("commands is not a list");
	return commands;
}
