import { type Command, commandMessage, commandOf, type DecodedFrame } from "../messages/command.ts";
import { ProtocolError } from "../protocol-error.ts";
import { ProtobufDecoder } from "./protobuf-message.ts";

/**
 * The commands of a Protobuf frame: each with its length before it, the byte 0x00 is a pong. An empty frame is an error. Takes linear
 * time; the caller limits the length of the frame. Never throws: errors are in the result.
 *
 * Payloads (`data`) are views of `frame`: copy those that must outlive it.
 */
export function decodeProtobufCommands(frame: Uint8Array): DecodedFrame {
	const commands: Command[] = [];
	try {
		const decoder = new ProtobufDecoder(frame);
		do commands.push(commandOf(decoder.delimited(commandMessage)));
		while (!decoder.atEnd);
		return { commands, error: null };
	} catch (error) {
		if (error instanceof ProtocolError) return { commands, error };
		throw error;
	}
}
