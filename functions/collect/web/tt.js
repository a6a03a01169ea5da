// Thirdtick for web pages: what people do there, put down to the click that brought them.
//
//   <script async src="https://…/tt.js" data-key="wk_…"></script>
//
//   tt.track('video_played', {title: 'Tour'})
//   tt.convert('purchase', {amount: 49.9, currency: 'MYR'}, {items: 2}, {id: 'order-1001'})
//   tt.identify({email: 'aisha@example.com', phone: '+60123456789'})
//   tt.consent(true)
//
// Before the script is there: window.tt = window.tt || []; tt.push(['track', 'video_played']).
//
// Attributes: data-key; data-endpoint (else /collect beside the script); data-consent="wait": nothing is stored or sent
// before tt.consent(true); data-auto="off": no page views by itself; data-clean-url: takes tt_cid out of the address;
// data-cookie-domain=".shop.example": one visitor on all subdomains. Do Not Track and Global Privacy Control count as a no,
// until the person says yes by tt.consent(true).
(function (window, document, navigator, location) {
  'use strict';

  var script = document.currentScript || document.querySelector('script[data-key][src*="tt.js"]');
  var early = window.tt;
  if (!script || (early && early.track)) return;

  var key = script.getAttribute('data-key');
  var endpoint = script.getAttribute('data-endpoint') || new URL('collect', script.src).href;
  var DAY = 864e5;
  var MAX_EVENTS = 50; // of a request; the server takes 100
  var MAX_BYTES = 48e3; // browsers let a page that closes send 64 KiB
  var MAX_WAITING = 1000;

  // What is kept between pages. A browser that keeps nothing is a new visitor on every page.
  var storage = {
    get: function (name) {
      try { return window.localStorage.getItem(name); } catch (e) { return null; }
    },
    set: function (name, value) {
      try { window.localStorage.setItem(name, value); } catch (e) { /* full, or forbidden */ }
    },
    remove: function (name) {
      try { window.localStorage.removeItem(name); } catch (e) { /* forbidden */ }
    },
    names: function () {
      try { return Object.keys(window.localStorage); } catch (e) { return []; }
    }
  };

  function parsed(text, otherwise) {
    try { return JSON.parse(text) || otherwise; } catch (e) { return otherwise; }
  }

  function uuid() {
    if (window.crypto.randomUUID) return window.crypto.randomUUID();
    var bytes = window.crypto.getRandomValues(new Uint8Array(16));
    return Array.prototype.map.call(bytes, function (byte) { return (byte + 256).toString(16).slice(1); }).join('');
  }

  // ---- consent: true, false, or null while nobody has said anything and the page wants to wait

  function asked() {
    var said = storage.get('tt_consent');
    if (said) return said === '1';
    var dnt = navigator.doNotTrack || window.doNotTrack;
    if (dnt === '1' || dnt === 'yes' || navigator.globalPrivacyControl) return false;
    return script.getAttribute('data-consent') === 'wait' ? null : true;
  }

  var allowed = asked();

  // ---- the visitor and the click

  var visitor = null;
  var click = null;

  function cookie(value, seconds) {
    var domain = script.getAttribute('data-cookie-domain');
    document.cookie = 'tt_id=' + value + ';path=/;max-age=' + seconds + ';SameSite=Lax' +
      (location.protocol === 'https:' ? ';Secure' : '') + (domain ? ';domain=' + domain : '');
  }

  function anonymousId() {
    if (visitor) return visitor;
    var found = /(?:^|; )tt_id=([\w-]+)/.exec(document.cookie);
    visitor = (found && found[1]) || storage.get('tt_id') || uuid();
    storage.set('tt_id', visitor);
    cookie(visitor, 31536e3);
    return visitor;
  }

  function readClick() {
    var url = new URL(location.href);
    var id = url.searchParams.get('tt_cid');
    if (!id) return;
    click = {id: id, at: Date.now()};
    if (script.hasAttribute('data-clean-url')) {
      url.searchParams.delete('tt_cid');
      window.history.replaceState(window.history.state, '', url.href);
    }
  }

  function clickId() {
    if (click) {
      storage.set('tt_click', JSON.stringify(click));
    } else {
      click = parsed(storage.get('tt_click'), null);
    }
    if (click && Date.now() - click.at > 7 * DAY) {
      storage.remove('tt_click');
      click = null;
    }
    return click ? click.id : undefined;
  }

  // ---- the queue: kept until the server has said that it has them. What is sent twice has the same id and counts once.

  var mine = 'tt_queue_' + uuid();
  var queue = [];
  var timer = null;
  var sending = false;
  var failures = 0;
  var left = null;

  function save() {
    if (queue.length) storage.set(mine, JSON.stringify(queue));
    else storage.remove(mine);
  }

  // What pages that are gone have left.
  function adopt() {
    storage.names().forEach(function (name) {
      if (name.indexOf('tt_queue_') || name === mine) return;
      queue = queue.concat(parsed(storage.get(name), []));
      storage.remove(name);
    });
    queue = queue.slice(-MAX_WAITING);
    save();
  }

  function body(events) {
    return JSON.stringify({write_key: key, events: events});
  }

  function batch() {
    var events = queue.slice(0, MAX_EVENTS);
    while (events.length > 1 && body(events).length > MAX_BYTES) events.length = events.length >> 1;
    return events;
  }

  function later(ms) {
    clearTimeout(timer);
    timer = setTimeout(flush, ms);
  }

  function done(events) {
    queue = queue.filter(function (event) { return events.indexOf(event) < 0; });
    failures = 0;
    save();
  }

  function flush() {
    if (sending || !allowed || !queue.length) return;
    var events = batch();
    var text = body(events);
    sending = true;
    // Without a content type of its own the request is a simple one: no preflight.
    window.fetch(endpoint, {method: 'POST', body: text, credentials: 'omit', keepalive: text.length < MAX_BYTES})
      .then(function (response) {
        if (response.status === 429 || response.status >= 500) throw new Error(String(response.status));
        if (!response.ok) window.console.warn('tt.js: the server refuses events with', response.status);
        done(events);
      })
      .catch(function () { failures += 1; })
      .then(function () {
        sending = false;
        if (queue.length) later(failures ? Math.min(1e3 * Math.pow(2, failures - 1), 6e4) : 0);
      });
  }

  // The page may be closing: the browser sends what waits. Nobody hears the answer, so it stays in the queue as well.
  function leave() {
    if (!allowed || !queue.length || !navigator.sendBeacon) return;
    var text = body(batch());
    if (text !== left) navigator.sendBeacon(endpoint, new Blob([text], {type: 'text/plain'}));
    left = text;
  }

  function add(name, properties, more) {
    if (allowed === false) return;
    var event = {id: uuid(), name: name, time: new Date().toISOString()};
    if (properties && Object.keys(properties).length) event.properties = properties;
    for (var field in more) if (more[field] !== undefined) event[field] = more[field];
    // Before the person has agreed an event waits here in memory, and knows nobody.
    if (allowed) own(event);
    queue.push(event);
    if (queue.length > MAX_WAITING) queue.shift();
    if (!allowed) return;
    save();
    if (!failures) later(300);
  }

  function own(event) {
    event.anonymous_id = anonymousId();
    event.click_id = clickId();
  }

  // ---- page views

  var shown = null;

  function page() {
    var url = location.origin + location.pathname;
    if (url === shown) return;
    var properties = {url: url, title: document.title};
    // Addresses without their parameters, which may name people; campaigns' own parameters are wanted.
    var from = shown || document.referrer.split(/[?#]/)[0];
    if (from) properties.referrer = from;
    new URL(location.href).searchParams.forEach(function (value, name) {
      if (/^utm_(source|medium|campaign|term|content)$/.test(name)) properties[name] = value;
    });
    shown = url;
    add('page_view', properties);
  }

  function watch() {
    ['pushState', 'replaceState'].forEach(function (name) {
      var original = window.history[name];
      window.history[name] = function () {
        var result = original.apply(this, arguments);
        // The router sets the new title after it has set the address.
        setTimeout(page, 0);
        return result;
      };
    });
    window.addEventListener('popstate', function () { setTimeout(page, 0); });
    page();
  }

  // ---- what pages call

  var tt = {
    track: function (name, properties, options) {
      add(name, properties, options && {id: options.id});
    },
    convert: function (name, value, properties, options) {
      add(name, properties, {conversion: true, value: value || undefined, id: options && options.id});
    },
    identify: function (person) {
      add('identify', null, {email: person.email, phone: person.phone});
    },
    consent: function (yes) {
      storage.set('tt_consent', yes ? '1' : '0');
      allowed = !!yes;
      if (!allowed) return tt.reset();
      queue.forEach(function (event) { if (!event.anonymous_id) own(event); });
      save();
      flush();
    },
    // Forgets the visitor, and what is not sent yet: for a person who logs out, or says no.
    reset: function () {
      ['tt_id', 'tt_click', mine].forEach(storage.remove);
      cookie('', 0);
      queue = [];
      visitor = click = null;
    },
    // The visitor, for events of your own server; null as long as nobody has agreed.
    anonymousId: function () { return allowed ? anonymousId() : null; },
    flush: flush,
    push: function (call) { tt[call[0]].apply(tt, call.slice(1)); }
  };
  window.tt = tt;

  readClick();
  if (allowed) adopt();
  document.addEventListener('visibilitychange', function () { if (document.visibilityState === 'hidden') leave(); });
  window.addEventListener('pagehide', leave);
  window.addEventListener('online', flush);
  if (Array.isArray(early)) early.forEach(tt.push);
  if (script.getAttribute('data-auto') !== 'off') watch();
  if (queue.length) flush();
})(window, document, navigator, location);
