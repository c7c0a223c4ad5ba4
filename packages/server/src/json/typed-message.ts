/** The longest type of a message, in characters. */
export const messageTypeMax = 128;

/** What clients get of a message with a type: `{"type":"alert","payload":…}`. @param payload JSON; it is copied byte for byte. */
export function typedMessage(type: string, payload: Uint8Array): Uint8Array {
	return Buffer.concat([Buffer.from(`{"type":${JSON.stringify(type)},"payload":`), payload, closing]);
}

const closing = Buffer.from("}");
