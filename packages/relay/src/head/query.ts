import type { HeadParser } from "./head.ts";

/** The query of a request's target, without the question mark; "" = none. @param head complete. @param bytes as parsed. */
export function queryIn({ targetStart, targetEnd }: HeadParser, bytes: Buffer): string {
	const target = bytes.toString("latin1", targetStart, targetEnd);
	const mark = target.indexOf("?");
	return mark < 0 ? "" : target.slice(mark + 1);
}
