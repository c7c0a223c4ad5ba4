import { type Refusal, Refusals, withMessage } from "../answer/refusal.ts";
import { type HeadParser, HeadStatus } from "./head.ts";

/**
 * Why a head is refused; null while nothing is wrong with it, whether it is complete or not.
 * @param length number of bytes received so far.
 */
export function headRefusal(head: HeadParser, length: number, headBytesMax: number): Refusal | null {
	switch (head.status) {
		case HeadStatus.malformed:
			return withMessage(Refusals.badRequest, `this is not an HTTP/1.1 request: ${head.problem}`);
		case HeadStatus.tooLong:
			return withMessage(Refusals.headTooLong, "the request head has too many lines");
		case HeadStatus.complete:
			return head.bytes > headBytesMax ? Refusals.headTooLong : null;
		default:
			return length >= headBytesMax ? Refusals.headTooLong : null;
	}
}
