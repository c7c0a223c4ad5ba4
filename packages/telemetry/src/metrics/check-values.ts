import type { MetricValues } from "./metric.ts";

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const types: readonly unknown[] = ["counter", "gauge", "histogram", "summary"];

type Fields<T> = { readonly [Key in keyof T]?: unknown };

/**
 * Checks the metrics that another process sent. It may have another version than this one, and one line that is not in Prometheus' format would
 * make the whole response invalid.
 * @throws TypeError that says what is wrong.
 */
export function checkValues(part: unknown): readonly MetricValues[] {
	if (!Array.isArray(part)) throw new TypeError("the answer is not a list of metrics");
	for (const metric of part) {
		const { name, help, type, values }: Fields<MetricValues> = Object(metric);
		if (typeof name !== "string" || !metricName.test(name)) throw new TypeError("a metric without a name");
		if (typeof help !== "string" || !types.includes(type) || !Array.isArray(values))
			throw new TypeError(`${name} is not described as a metric`);
		if (!values.every(isValue)) throw new TypeError(`${name} has an invalid value`);
	}
	return part;
}

function isValue(value: unknown): boolean {
	const { labels, value: number, metricName: own = "_" }: Fields<MetricValues["values"][number]> = Object(value);
	if (typeof number !== "number" || typeof own !== "string" || !metricName.test(own)) return false;
	if (typeof labels !== "object" || labels === null) return false;
	return Object.entries(labels).every(([label, of]) => labelName.test(label) && (typeof of === "string" || typeof of === "number"));
}
