// What people do on the pages, done in a real browser against a real server.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { launch, overflow, withPage } from './browser.mjs';
import { brokerTrace, largeTrace, smallTraces, spanId, trace, traceId } from './data.mjs';
import { startServer } from './server.mjs';

const LARGE = 10_000;
const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>\'"&amp;';

const run = promisify(execFile);
const search = (query, more = '') => `/?q=${encodeURIComponent(query)}&start=now-1h${more}`;
const row = (page, name) => page.getByRole('treeitem', { name });

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

describe('an empty store', () => {
  let server;
  before(async () => { server = await startServer(); });
  after(() => server?.stop());

  test('shows how to send the first span, and what it shows works', () => withPage(browser, server, async (page) => {
    await page.goto(server.page);
    for (const name of ['Python', 'Node', 'curl']) {
      await page.getByText(name, { exact: true }).first().click();
      await page.getByText(server.otlp, { exact: false }).locator('visible=true').first().waitFor();
    }
    const snippet = await page.locator('pre:visible', { hasText: 'curl' }).first().innerText();
    const { stdout } = await run('bash', ['-euc', snippet]);
    assert.match(stdout, /200 OK/);
    await page.goto(server.page);
    await page.locator('#results .result-link').first().click();
    await row(page, /hello first span/).waitFor();
  }));
});

describe('a store with traces', () => {
  let server;
  const broker = '/trace/' + traceId('broker');

  before(async () => {
    server = await startServer();
    const now = Date.now();
    await server.send(smallTraces(60, now));
    await server.send(brokerTrace('broker', now - 8_000));
    await server.send(largeTrace('large', now - 100_000, LARGE));
    await server.send(trace('hostile', now - 60_000, [
      { id: 'root', service: HOSTILE, name: HOSTILE, kind: 'server', at: 0, ms: 20, error: HOSTILE, attributes: { [HOSTILE]: HOSTILE }, events: [{ name: HOSTILE, at: 5, attributes: { [HOSTILE]: HOSTILE } }] },
    ]));
    await server.send(trace('orphan', now - 70_000, [
      { id: 'late', parent: 'never sent', service: 'egress', name: 'Forward Event', kind: 'consumer', at: 0, ms: 20 },
    ]));
  });
  after(() => server?.stop());

  test('a search finds what it asks for, and a row opens the trace', () => withPage(browser, server, async (page) => {
    await page.goto(server.page);
    const box = page.getByRole('textbox', { name: 'TraceQL query' });
    await box.fill('{ span.app.event.consumer.attempt_number = 2 }');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.waitForURL(/q=/);
    assert.equal(await page.locator('#results .result').count(), 1);
    assert.equal(await box.inputValue(), '{ span.app.event.consumer.attempt_number = 2 }');
    const text = await page.locator('#results .result').first().innerText();
    for (const part of ['checkout', 'POST /orders', '2 errors', 'cold start', '16 spans']) {
      assert.ok(text.includes(part), `${part} is not in ${text}`);
    }
    await page.locator('#results .result-link').first().click();
    await page.waitForURL(`**${broker}*`);
    assert.match(await page.title(), /POST \/orders/);
  }));

  test('a query that finds nothing says so, and is not taken for an empty store', () => withPage(browser, server, async (page) => {
    await page.goto(server.page + search('{ name = "nowhere" }'));
    await page.getByRole('heading', { name: 'No trace matches' }).waitFor();
    assert.equal(await page.getByText('No span yet').count(), 0);
  }));

  test('a wrong query is marked where it is wrong', () => withPage(browser, server, async (page) => {
    await page.goto(server.page + search('{ status == error }'));
    const mark = page.locator('#problem mark');
    await mark.waitFor();
    assert.match(await mark.innerText(), /=/);
    assert.equal(await page.getByRole('textbox', { name: 'TraceQL query' }).inputValue(), '{ status == error }');
    // The token stands in its place in the query.
    assert.match(await page.locator('#problem pre').innerText(), /status ==? ?=? error/);
  }, { expected: /400/ }));

  test('the search box suggests what the store holds, and says what is wrong so far', () => withPage(browser, server, async (page) => {
    await page.goto(server.page + '/');
    const box = page.getByRole('textbox', { name: 'TraceQL query' });
    const options = page.getByRole('listbox', { name: 'Suggestions' }).getByRole('option');
    const first = (text) => options.filter({ hasText: text }).first().waitFor();
    await box.pressSequentially('{ attempt');
    await first('span.app.event.consumer.attempt_number');
    await page.keyboard.press('Tab');
    assert.equal(await box.inputValue(), '{ span.app.event.consumer.attempt_number ');
    await first('=');
    await page.keyboard.press('Tab');
    await first('1');
    await box.pressSequentially('2');
    await page.keyboard.press('Escape');
    await page.getByRole('listbox', { name: 'Suggestions' }).waitFor({ state: 'hidden' });
    await box.pressSequentially(' ');
    await first('}');
    await page.keyboard.press('ArrowDown');
    assert.ok(await box.getAttribute('aria-activedescendant'));
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    assert.equal(await box.inputValue(), '{ span.app.event.consumer.attempt_number = 2 } ');
    // No suggestion is chosen, so that this searches.
    await page.keyboard.press('Enter');
    await page.waitForURL(/q=/);
    assert.equal(await page.locator('#results .result').count(), 1);

    await page.goto(server.page + '/');
    await box.pressSequentially('{ éé = 1 && durration > 1s }');
    const mark = page.locator('.problem-live mark');
    await mark.waitFor();
    assert.equal(await mark.innerText(), 'éé');
    await box.fill('{ durration > 1s }');
    await page.locator('.problem-live mark', { hasText: 'durration' }).waitFor();
    assert.match(await page.locator('.problem-live').innerText(), /did you mean .duration/);
    await box.fill('{ duration > 1s }');
    await page.locator('.problem-live').waitFor({ state: 'hidden' });
  }));

  test('a metrics query is a chart, whose columns and rows lead to the spans that they count', () => withPage(browser, server, async (page) => {
    await page.goto(`${server.page}/`);
    await page.getByRole('textbox', { name: 'TraceQL query' }).fill('{ kind = server } | rate() by (resource.service.name)');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    const chart = page.getByRole('img', { name: /^rate over time/ });
    await chart.waitFor();
    const names = await page.getByRole('list', { name: 'Series' }).getByRole('listitem').allInnerTexts();
    assert.ok(names.includes('checkout') && names.includes('ebe-ingress'), names.join());
    assert.equal(await chart.locator('.chart-line').count(), names.length);
    // Lines keep to the drawing, and are seen on it, whichever the theme.
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      const [ground, ...strokes] = await page.evaluate(() => [
        getComputedStyle(document.querySelector('.chart')).backgroundColor,
        ...[...document.querySelectorAll('.chart-line path')].map((path) => getComputedStyle(path).stroke),
      ]);
      assert.ok(strokes.every((stroke) => stroke !== ground && stroke !== 'none'), `${ground} ${strokes}`);
    }
    const frame = await chart.boundingBox();
    for (const path of await chart.locator('.chart-line path').all()) {
      const box = await path.boundingBox();
      assert.ok(box.x >= frame.x - 2 && box.x + box.width <= frame.x + frame.width + 2, JSON.stringify([box, frame]));
    }
    const columns = chart.locator('.chart-column');
    const titles = await columns.locator('title').allTextContents();
    const busy = titles.findIndex((title) => /checkout: (?!0\/s)/.test(title));
    assert.ok(busy >= 0, titles.join('\n'));
    await columns.nth(busy).click();
    await page.waitForURL(/start=20/);
    assert.ok(await page.locator('#results .result').count() > 0);
    await page.goBack();
    await page.getByRole('row', { name: /checkout/ }).getByRole('link').click();
    await page.waitForURL(/service\.name/);
    assert.ok(await page.locator('#results .result').count() > 0);

    await page.goto(server.page + search('{ name = "nowhere" } | rate() by (name)'));
    await page.getByRole('heading', { name: 'No series' }).waitFor();
  }));

  test('older results follow page by page, none twice', () => withPage(browser, server, async (page) => {
    const seen = new Set();
    await page.goto(server.page + search('{ span.small.number >= 0 }', '&limit=20'));
    for (let pages = 1; ; pages += 1) {
      const links = await page.locator('#results .result-link').evaluateAll((all) => all.map((link) => link.pathname));
      for (const link of links) {
        assert.ok(!seen.has(link), `${link} is on two pages`);
        seen.add(link);
      }
      const older = page.getByRole('link', { name: 'Older traces' });
      if (pages > 5 || !(await older.count())) break;
      const [url] = [page.url()];
      await older.click();
      await page.waitForURL((next) => next.href !== url);
    }
    assert.equal(seen.size, 60);
  }));

  test('the waterfall folds, unfolds and opens the panel of a span', () => withPage(browser, server, async (page) => {
    await page.goto(server.page + broker);
    await row(page, /POST \/orders/).waitFor();
    assert.equal(await page.getByRole('treeitem').count(), 16);
    const ingress = row(page, /ebe-ingress Validate Event/);
    await ingress.locator('[data-toggle]').click();
    await row(page, /orders publish/).waitFor({ state: 'detached' });
    assert.equal(await ingress.getAttribute('aria-expanded'), 'false');
    // The address holds the state: another person sees the same.
    await page.goto(page.url());
    assert.equal(await row(page, /orders publish/).count(), 0);
    await ingress.locator('[data-toggle]').click();
    await row(page, /orders publish/).waitFor();

    await row(page, /ebe-egress POST \/parcels/).getByText('POST /parcels').click();
    const panel = page.locator('#panel');
    await panel.getByText('TimeoutError', { exact: true }).first().waitFor();
    await panel.getByText('session.post(target.url').waitFor();
    assert.match(page.url(), new RegExp(spanId('broker', 'call-b')));
  }));

  test('a value leads to the traces that have it too', () => withPage(browser, server, async (page) => {
    await page.goto(`${server.page}${broker}?span=${spanId('broker', 'route')}`);
    const attribute = page.locator('#panel .attribute', { hasText: 'u-4711' });
    await attribute.hover();
    await attribute.getByRole('link', { name: 'Search for this value' }).click();
    await page.waitForURL(/q=/);
    assert.equal(await page.getByRole('textbox', { name: 'TraceQL query' }).inputValue(), '{ span.user.id = "u-4711" }');
    const links = await page.locator('#results .result-link').evaluateAll((all) => all.map((link) => link.pathname));
    assert.deepEqual(links, [broker]);
  }));

  test('cold starts, errors, links and what is asynchronous are told apart', () => withPage(browser, server, async (page) => {
    await page.goto(server.page + broker);
    await row(page, /Validate Event.*cold start/).waitFor();
    await row(page, /POST \/parcels.*error/).waitFor();
    await row(page, /orders route.*asynchronous/).waitFor();
    await row(page, /Forward Event/).locator('[title="1 link"]').waitFor();
    await page.goto(`${server.page}/trace/${traceId('orphan')}`);
    await row(page, /Forward Event.*parent not received/).waitFor();
  }));

  test('everything can be done from the keyboard', () => withPage(browser, server, async (page) => {
    await page.goto(server.page + search('{ span.user.id = "u-4711" }'));
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'query');
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForURL(`**${broker}*`);
    await row(page, /POST \/orders/).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.locator('#panel:visible').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('#panel').waitFor({ state: 'hidden' });
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
  }));

  test('a phone shows it all without scrolling sideways', () => withPage(browser, server, async (page) => {
    const charts = ['{ } | rate() by (name, resource.service.name)', '{ } | histogram_over_time(duration)', '{ } | compare({ status = error })'].map((query) => search(query));
    for (const path of ['/', search('{ status = error }'), ...charts, broker, `${broker}?span=${spanId('broker', 'call-b')}`, `/trace/${traceId('hostile')}`]) {
      await page.goto(server.page + path);
      assert.deepEqual(await overflow(page), [], path);
    }
  }, { viewport: { width: 380, height: 780 }, isMobile: true, hasTouch: true }));

  test('HTML in what was sent is text', () => withPage(browser, server, async (page) => {
    const hostile = `/trace/${traceId('hostile')}?span=${spanId('hostile', 'root')}`;
    for (const path of [search(`{ trace:id = "${traceId('hostile')}" }`), search(HOSTILE), hostile]) {
      await page.goto(server.page + path);
      await page.locator('#content').getByText(HOSTILE).locator('visible=true').first().waitFor();
      assert.equal(await page.locator('img[src="x"]').count(), 0);
    }
  }, { expected: /400/ }));

  test('a trace of ten thousand spans is shown in a window of rows', () => withPage(browser, server, async (page) => {
    await page.goto(`${server.page}/trace/${traceId('large')}`);
    await row(page, /fan-out map 0/).waitFor();
    const rows = () => page.getByRole('treeitem').count();
    assert.ok(await rows() < 1_000, 'the window is as large as the trace');
    await page.locator('#rows').focus();
    await page.keyboard.press('End');
    await page.locator('#rows-window[data-offset]:not([data-offset="0"])').waitFor();
    await page.waitForFunction((total) => {
      const window = document.querySelector('#rows-window').dataset;
      return Number(window.offset) + Number(window.count) === total;
    }, LARGE);
    assert.ok(await rows() < 1_000, 'rows that were scrolled past stay in the page');
  }));

  test('an unknown trace and a wrong address say what to try', () => withPage(browser, server, async (page) => {
    const answer = await page.goto(`${server.page}/trace/${traceId('never sent')}`);
    assert.equal(answer.status(), 404);
    await page.getByRole('heading', { level: 1 }).waitFor();
    assert.equal((await page.goto(`${server.page}/nowhere`)).status(), 404);
  }, { expected: /404/ }));

  test('without scripts everything essential is still there', () => withPage(browser, server, async (page) => {
    await page.goto(server.page);
    await page.getByRole('textbox', { name: 'TraceQL query' }).fill('{ span.user.id = "u-4711" }');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.locator('#results .result-link').first().click();
    const ingress = row(page, /ebe-ingress Validate Event/);
    await ingress.locator('[data-toggle]').click();
    assert.equal(await row(page, /orders publish/).count(), 0);
    await row(page, /checkout POST \/orders/).getByText('POST /orders').click();
    await page.locator('#panel', { hasText: 'u-4711' }).waitFor();
  }, { javaScriptEnabled: false }));
});

describe('the pages of a usual store', () => {
  let server;
  before(async () => {
    server = await startServer();
    const now = Date.now();
    await server.send(smallTraces(60, now));
    for (const [number, seconds] of [14, 190, 520, 980].entries()) {
      await server.send(brokerTrace(`order ${number}`, now - seconds * 1000));
    }
  });
  after(() => server?.stop());

  for (const colorScheme of ['light', 'dark']) {
    test(`the pages are ${colorScheme} where the system is`, () => withPage(browser, server, async (page) => {
      const luminance = () => page.evaluate(() => {
        const [red, green, blue] = getComputedStyle(document.documentElement).backgroundColor.match(/[\d.]+/g).map(Number);
        return (red + green + blue) / 3;
      });
      const views = {
        search: '/?start=now-1h',
        chart: search('{ kind = server } | rate() by (resource.service.name)'),
        trace: `/trace/${traceId('order 0')}?span=${spanId('order 0', 'call-b')}`,
      };
      for (const [name, path] of Object.entries(views)) {
        await page.goto(server.page + path);
        await page.locator('#results, #rows, .chart').first().waitFor();
        const light = await luminance();
        assert.ok(colorScheme === 'light' ? light > 200 : light < 60, `${name} has a background of ${light}`);
        if (process.env.SPANLIGHT_SCREENSHOTS) {
          await page.screenshot({ path: join(process.env.SPANLIGHT_SCREENSHOTS, `${name}-${colorScheme}.png`) });
        }
      }
    }, { colorScheme }));
  }
});
