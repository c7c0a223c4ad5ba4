import { setImmediate } from "node:timers/promises";
import { ErrorCode } from "@shardcast/protocol";
import type { JsonSpan } from "@shardcast/wire";
import { ApiCall, type ApiMethod } from "./api-call.ts";
import { ApiError, ApiForbidden } from "./api-error.ts";
import { errorText } from "./api-reply.ts";

/** The most commands of one request. */
export const commandsMax = 1000;
/** The most bytes of all replies together; later commands get an error. */
const repliesBytesMax = 16 * 1024 * 1024;
/** The most commands that wait for answers at once: shards answer 64 questions at a time. */
const parallelMax = 16;

/** A command in a request body. */
export interface ApiCommand {
	readonly method: string;
	/** Null = none. */
	readonly params: JsonSpan | null;
}

interface ApiCommandsParts {
	/** By name. */
	readonly methods: Readonly<Record<string, ApiMethod>>;
	/** Called for each command that gets an error because the earlier replies are too long. */
	readonly onTooLong: () => void;
}

/** The result of a command: its JSON, or `{"error":{…}}`. */
type ApiOutcome = { readonly result: string } | { readonly error: string };

/** Runs the commands of one request. A command that fails does not stop the others. */
export class ApiCommands {
	readonly #parts: ApiCommandsParts;

	constructor(parts: ApiCommandsParts) {
		this.#parts = parts;
	}

	/**
	 * Runs the commands one after the other, or 16 at a time.
	 * @param form creates the reply to a command. @returns the replies in the order of the commands.
	 */
	async run<Command extends ApiCommand>(
		call: ApiCall,
		commands: readonly Command[],
		parallel: boolean,
		form: (command: Command, outcome: ApiOutcome) => string,
	): Promise<readonly string[]> {
		const replies: string[] = [];
		let bytes = 0;
		let next = 0;
		const worker = async (): Promise<void> => {
			while (next < commands.length) {
				const index = next++;
				const command = commands[index]!;
				const reply = form(command, bytes > repliesBytesMax ? this.#tooLong() : await this.#execute(call, command));
				replies[index] = reply;
				bytes += Buffer.byteLength(reply);
				// Lets deliveries run between the commands.
				if (index % 16 === 15) await setImmediate();
			}
		};
		await Promise.all(Array.from({ length: parallel ? parallelMax : 1 }, worker));
		return replies;
	}

	async #execute(call: ApiCall, { method: name, params }: ApiCommand): Promise<ApiOutcome> {
		const { methods } = this.#parts;
		try {
			const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
			if (method === undefined) throw new ApiError(ErrorCode.methodNotFound, name.slice(0, 40));
			if (!call.request.key.allowsMethod(name)) throw new ApiForbidden(ErrorCode.permissionDenied, `this key does not permit ${name}`);
			const body = params === null ? noParams : call.body.subarray(params.start, params.end);
			const result = await method(new ApiCall(call.request, body));
			return { result: Buffer.from(result).toString() };
		} catch (error) {
			return { error: errorText(error) };
		}
	}

	#tooLong(): ApiOutcome {
		this.#parts.onTooLong();
		return tooLong;
	}
}

const noParams = Buffer.from("{}");
const tooLong = {
	error: errorText(new ApiError(ErrorCode.limitExceeded, "the replies before it have more than 16 MiB; send fewer commands in a request")),
};
