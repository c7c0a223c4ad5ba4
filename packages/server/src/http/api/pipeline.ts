import { ErrorCode } from "@shardcast/protocol";
import { type JsonShape, type JsonSpan, JsonSyntaxError, type JsonVisitor, jsonText, scanJson } from "@shardcast/wire";
import { FieldError } from "../../json/fields.ts";
import type { ApiCall } from "./api-call.ts";
import { type ApiCommand, type ApiCommands, commandsMax } from "./api-commands.ts";
import { ApiError } from "./api-error.ts";

interface PipelineCommand extends ApiCommand {
	/** As written, to be repeated in the reply; "" = none. */
	readonly id: string;
}

const lineFeed = 0x0a;

/**
 * `POST /api` for older libraries: `{"method","params"}`, or several of these, one per line. The replies, `{"result"}` or `{"error"}`, are lines
 * too, without a line break at the end.
 * @throws SyntaxError or FieldError when a command is invalid; then none has been run.
 */
export async function pipeline(all: Pick<ApiCommands, "run">, call: ApiCall): Promise<string> {
	const commands = commandsIn(call.body);
	const replies = await all.run(call, commands, false, ({ id }, outcome) => {
		const before = id === "" ? "{" : `{"id":${id},`;
		return "result" in outcome ? `${before}"result":${outcome.result}}` : `${before}${outcome.error.slice(1)}`;
	});
	return replies.join("\n");
}

/** Accepts one document over several lines, or one document per line. */
function commandsIn(body: Uint8Array): readonly PipelineCommand[] {
	const only = commandIn(body, 0, body.length);
	if (!(only instanceof JsonSyntaxError)) return [only];
	const commands: PipelineCommand[] = [];
	for (let start = 0, line = 1; start < body.length; line++) {
		const newline = body.indexOf(lineFeed, start);
		const end = newline < 0 ? body.length : newline;
		if (!isBlank(body.subarray(start, end))) {
			const command = commandIn(body, start, end);
			if (command instanceof JsonSyntaxError) throw new SyntaxError(`line ${line} is not JSON: ${command.message} of the line`);
			if (commands.length === commandsMax) throw new ApiError(ErrorCode.limitExceeded, `a request has ${commandsMax} commands at most`);
			commands.push(command);
		}
		start = end + 1;
	}
	if (commands.length === 0) throw new FieldError('there is no command: {"method": "publish", "params": {…}}');
	return commands;
}

/** Returns the error if it is not JSON. Like Centrifugo, ignores the case of method names. @throws FieldError */
function commandIn(body: Uint8Array, start: number, end: number): PipelineCommand | JsonSyntaxError {
	const line = body.subarray(start, end);
	const found = new Map<string, JsonSpan>();
	const visitor = { member: (key: JsonSpan, value: JsonSpan) => void found.set(jsonText(line, key), value), element: () => {} };
	const shape = scanned(line, visitor);
	if (shape instanceof JsonSyntaxError) return shape;
	const textOf = (name: string) => {
		const span = found.get(name);
		return span === undefined ? "" : Buffer.from(line.subarray(span.start, span.end)).toString();
	};
	const [method, id, params] = [textOf("method"), textOf("id"), found.get("params")];
	if (shape !== "object" || !/^"[a-z_]{1,40}"$/i.test(method))
		throw new FieldError('a command is {"method": "publish", "params": {…}}, with the name of a method');
	if (!/^\d{0,10}$/.test(id)) throw new FieldError("id is not an integer");
	const span = params === undefined ? null : { start: start + params.start, end: start + params.end };
	return { method: method.slice(1, -1).toLowerCase(), params: span, id };
}

function scanned(bytes: Uint8Array, visitor: JsonVisitor): JsonShape | JsonSyntaxError {
	try {
		return scanJson(bytes, visitor);
	} catch (error) {
		if (error instanceof JsonSyntaxError) return error;
		throw error;
	}
}

/** Only the white space that JSON allows. */
const isBlank = (line: Uint8Array): boolean => line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
