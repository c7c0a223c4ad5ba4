/**
 * What a client has sent breaks the protocol; the message says how, without quoting what it sent. The only error that the decoders throw. On
 * a connection it means disconnect 3501.
 */
export class ProtocolError extends Error {
	override readonly name = "ProtocolError";
}
