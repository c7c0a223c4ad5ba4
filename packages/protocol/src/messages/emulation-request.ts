import { bytes, string } from "../schema/field.ts";
import { messageType } from "../schema/message-type.ts";

/** The body of `POST /emulation`: commands for a connection that cannot carry them itself. */
export interface EmulationRequest {
	readonly node: string;
	readonly session: string;
	/** A frame of commands. */
	readonly data: Uint8Array;
}
export const emulationRequest = messageType<EmulationRequest>("EmulationRequest", { node: string(1), session: string(2), data: bytes(3) });
