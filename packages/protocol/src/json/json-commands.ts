import { isUtf8 } from "node:buffer";
import { type Command, commandMessage, commandOf, type DecodedFrame } from "../messages/command.ts";
import { ProtocolError } from "../protocol-error.ts";
import { decodeJsonMessage } from "./json-message.ts";

/**
 * The commands of a JSON frame: one object per line. A blank line or an empty frame is an error; one line feed at the end is not. Takes
 * linear time; the caller limits the length of the frame. Never throws: errors are in the result.
 *
 * Payloads (`data`) are views of `frame`: copy those that must outlive it.
 */
export function decodeJsonCommands(frame: Uint8Array): DecodedFrame {
	const commands: Command[] = [];
	try {
		if (!isUtf8(frame)) throw new ProtocolError("not UTF-8");
		for (let start = 0; start < frame.length || start === 0; ) {
			const newline = frame.indexOf(lineFeed, start);
			const end = newline < 0 ? frame.length : newline;
			commands.push(commandOf(decodeJsonMessage(commandMessage, frame.subarray(start, end))));
			start = end + 1;
		}
		return { commands, error: null };
	} catch (error) {
		if (error instanceof ProtocolError) return { commands, error };
		throw error;
	}
}

const lineFeed = 0x0a;
