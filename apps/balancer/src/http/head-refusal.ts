import { type HeadParser, HeadStatus } from "./head.ts";
import { because, type Refusal, Refusals } from "./refusal.ts";

/**
 * Why a head is not taken as it stands; null while nothing is wrong with it, complete or not.
 * @param length bytes of it that are there.
 */
export function headRefusal(head: HeadParser, length: number, headBytesMax: number): Refusal | null {
	switch (head.status) {
		case HeadStatus.malformed:
			return because(Refusals.badRequest, `this is not an HTTP/1.1 request: ${head.problem}`);
		case HeadStatus.tooLong:
			return because(Refusals.headTooLong, "the request head has too many lines");
		case HeadStatus.complete:
			return head.bytes > headBytesMax ? Refusals.headTooLong : null;
		default:
			return length >= headBytesMax ? Refusals.headTooLong : null;
	}
}
