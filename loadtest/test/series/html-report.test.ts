import { Script } from "node:vm";
import { describe, expect, it } from "vitest";
import { htmlReport } from "../../src/report/html-report.ts";
import { measured } from "../support/results.ts";

describe("HTML report", () => {
	const hostile = "</script><img src=x onerror=alert(1)>";
	const html = htmlReport({ ...measured, problems: [hostile], series: { ...measured.series!, startedAt: hostile } });

	it("is one page that loads nothing and may not", () => {
		expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'`);
		expect(html).not.toMatch(/<(link|img|iframe|object)\b|\bsrc=["']|@import|url\(/);
	});

	it("writes text as text, in markup and in scripts", () => {
		expect(html).toContain("<li>&#60;/script&#62;&#60;img src=x onerror=alert(1)&#62;</li>");
		expect(html.match(/<\/script>/g)).toHaveLength(3);
		const [, series] = /<script type="application\/json" id="series">(.*?)<\/script>/s.exec(html)!;
		expect(JSON.parse(series)).toMatchObject({ startedAt: hostile, points: [{ second: 0, p99Ms: 9 }, { second: 1 }] });
		expect(series).not.toContain("histogram");
	});

	it("has scripts that are JavaScript", () => {
		const scripts = [...html.matchAll(/<script>(.*?)<\/script>/gs)].map(([, script]) => script);
		expect(scripts).toHaveLength(2);
		for (const script of scripts) expect(() => new Script(script)).not.toThrow();
	});

	it("says so when there is nothing to draw", () => {
		const { series: _, send: __, ...early } = measured;
		expect(htmlReport(early)).toContain('<section id="charts" hidden>');
	});
});
