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
