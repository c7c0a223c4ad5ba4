/** What is wrong with one item of a list; the message is the rest of a sentence that begins with the item. */
export class ItemError extends RangeError {
	readonly item: string;

	constructor(item: string, message: string) {
		super(message);
		this.item = item;
	}
}

/** @param parse throws RangeError. @throws ItemError */
export function parseItem<T>(item: string, parse: (item: string) => T): T {
	try {
		return parse(item);
	} catch (error) {
		throw error instanceof RangeError ? new ItemError(item, error.message) : error;
	}
}

/**
 * Reads each of several items, so that every one that is wrong is told.
 * @param parse throws RangeError.
 * @throws AggregateError of all these.
 */
export function parseEach<T>(items: readonly string[], parse: (item: string) => T): T[] {
	const values: T[] = [];
	const errors: RangeError[] = [];
	for (const item of items) {
		try {
			values.push(parse(item));
		} catch (error) {
			if (!(error instanceof RangeError)) throw error;
			errors.push(error);
		}
	}
	if (errors.length > 0) throw new AggregateError(errors);
	return values;
}
