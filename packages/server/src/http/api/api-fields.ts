import { FieldError, type Fields, tableField, textField } from "../../json/fields.ts";

/** Seconds since 1970; 0 = absent. */
export function expireAtField(fields: Fields): number {
	const expireAt = fields.expire_at ?? 0;
	// JSON, which is used between processes and in files, cannot represent infinity.
	if (typeof expireAt !== "number" || !Number.isFinite(expireAt) || expireAt < 0)
		throw new FieldError("expire_at is not a number of seconds");
	return expireAt;
}

/** Null = absent. */
export function sinceField(fields: Fields, name: string): { readonly offset: number; readonly epoch: string } | null {
	const since = tableField(fields, name);
	if (since === null) return null;
	const offset = since.offset ?? 0;
	if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0)
		throw new FieldError(`${name}.offset is not a non-negative integer`);
	return { offset, epoch: textField(since, "epoch") };
}
