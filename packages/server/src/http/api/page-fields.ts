import { inventoryLimits, type Page } from "@shardcast/control";
import { ErrorCode } from "@shardcast/protocol";
import { FieldError, type Fields, textField } from "../../json/fields.ts";
import { ApiError } from "./api-error.ts";

/** The most entries of one page. */
const pageMax = 10_000;
const cursorLengthMax = 255;

/** Reads `limit` and `cursor`; null = the whole list. @throws FieldError */
export function pageField(fields: Fields): Required<Page> | null {
	const { limit = 0 } = fields;
	const after = textField(fields, "cursor");
	if (typeof limit !== "number" || !Number.isSafeInteger(limit) || limit < 0 || limit > pageMax)
		throw new FieldError(`limit is not an integer from 0 to ${pageMax}`);
	if (after.length > cursorLengthMax) throw new FieldError(`cursor has more than ${cursorLengthMax} characters`);
	if (limit === 0 && after === "") return null;
	return { after, most: limit || pageMax };
}

/** The page to request from the shards: one entry more shows whether there is another page. */
export function pageWanted(page: Required<Page> | null): Page {
	if (page === null) return {};
	return { ...(page.after !== "" && { after: page.after }), most: page.most + 1 };
}

/** The entries of this page, and the fields that lead to the next one, if there is one. */
export function pageCut<Entry>(
	entries: readonly Entry[],
	keyOf: (entry: Entry) => string,
	page: Required<Page> | null,
): { readonly own: readonly Entry[]; readonly next: { readonly next_cursor?: string } } {
	if (page === null || entries.length <= page.most) return { own: entries, next: {} };
	const own = entries.slice(0, page.most);
	return { own, next: { next_cursor: keyOf(own.at(-1)!) } };
}

/** @param what names the entries. @param hint what else the caller can do. */
export function tooMany(what: string, hint: string): ApiError {
	const { entries, bytes } = inventoryLimits;
	const limits = `${entries} ${what}, or ${bytes / 1024 / 1024} MiB of names`;
	return new ApiError(ErrorCode.limitExceeded, `an answer has at most ${limits}; ask for pages with limit and cursor${hint}`);
}
