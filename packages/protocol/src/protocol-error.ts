/**
 * A client violated the protocol. The message says how, without quoting the client. The decoders throw no other error. On a connection it
 * means disconnect 3501.
 */
export class ProtocolError extends Error {
	override readonly name = "ProtocolError";
}
