package workers

import (
	"context"
	"math"
	"slices"
	"time"
)

// A process has one core. A version whose processes are saturated gets another,
// and loses it when fewer would do. This is how a version is judged.
const (
	// Cores that each process uses or waits for, on average, for the version to be
	// hot.
	hotCores = 0.8
	// Requests in flight for each process without which there is nothing to share.
	hotInFlight = 2
	// Periods in a row that must be hot before a process is started.
	hotPeriods = 2
	// Cores that each of the others would use if a process were not there, for the
	// version to be calm.
	calmCores = 0.5
	// Periods for which it must stay calm before a process is stopped.
	calmPeriods = 20
	// Periods without another try after a start that failed.
	failedPeriods = 60
)

// load is what is known of how busy a version is; under unit.mu.
type load struct {
	hot, calm int  // periods in a row
	pause     int  // periods to come in which none is started
	growing   bool // a process is starting
	epoch     int  // counts the times when all processes were told to end
}

// pick returns the process with the fewest requests in flight, nil when there is none.
func (u *unit) pick() *Instance {
	in := u.current.Load()
	more := u.more.Load()
	if more == nil {
		return in
	}
	best, fewest := in, int64(math.MaxInt64)
	if in != nil {
		if n := in.state.Load(); n >= 0 {
			fewest = n
		}
	}
	for _, m := range *more {
		if n := m.state.Load(); n >= 0 && n < fewest { // below 0 it is ending
			best, fewest = m, n
		}
	}
	return best
}

// setMore replaces the processes beside the current one. The caller holds u.mu.
func (u *unit) setMore(list []*Instance) {
	if len(list) == 0 {
		u.more.Store(nil)
		return
	}
	u.more.Store(&list)
}

func (u *unit) others() []*Instance {
	if more := u.more.Load(); more != nil {
		return *more
	}
	return nil
}

// closeAll lets no request in to any process of now. The caller holds u.mu.
func (u *unit) closeAll() {
	u.load.epoch++ // one that is starting ends as soon as it runs
	more := u.others()
	u.setMore(nil)
	if in := u.current.Swap(nil); in != nil {
		in.close()
	}
	for _, in := range more {
		in.close()
	}
}

// remove forgets a process that is ending. When it was the current one, another
// takes its place.
func (u *unit) remove(in *Instance) {
	u.mu.Lock()
	defer u.mu.Unlock()
	more := slices.DeleteFunc(slices.Clone(u.others()), func(m *Instance) bool { return m == in })
	if u.current.CompareAndSwap(in, nil) && len(more) > 0 {
		u.current.Store(more[0])
		more = more[1:]
	}
	u.setMore(more)
}

// scaler judges the versions that run, period after period.
func (s *Service) scaler() {
	t := time.NewTicker(s.o.ScalePeriod)
	defer t.Stop()
	for {
		select {
		case at := <-t.C:
			s.scale(at)
		case <-s.closing:
			return
		}
	}
}

// scale looks only at versions with requests in flight or with several processes:
// to read the use of a process costs system calls.
func (s *Service) scale(at time.Time) {
	units := make(map[*unit]bool)
	s.mu.Lock()
	for in := range s.running {
		// One that has objects open must stay the only one.
		if n, closing := in.inFlight(); in.claim == nil && !closing && (n >= hotInFlight || in.u.more.Load() != nil) {
			units[in.u] = true
		}
	}
	s.mu.Unlock()
	for u := range units {
		u.scale(at)
	}
}

// scale judges the unit and starts or stops one process.
func (u *unit) scale(at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if others := u.others(); len(others) > 0 && u.starting == nil && u.current.CompareAndSwap(nil, others[0]) {
		u.setMore(slices.Clone(others[1:])) // the first one was replaced alone
	}
	in := u.current.Load()
	if in == nil || in.claim != nil || u.dead || u.retiring {
		return
	}
	all := append([]*Instance{in}, u.others()...)
	cores, wanted, inFlight, ok := measure(all, at)
	if u.load.pause > 0 {
		u.load.pause--
	}
	if !ok {
		return // one is new: it has not shown yet what it takes over
	}
	n := len(all)
	switch {
	case wanted >= hotCores*float64(n) && inFlight >= int64(hotInFlight*n):
		u.load.hot, u.load.calm = u.load.hot+1, 0
	case n > 1 && cores < calmCores*float64(n-1):
		u.load.hot, u.load.calm = 0, u.load.calm+1
	default:
		u.load.hot, u.load.calm = 0, 0
	}
	switch {
	case u.load.hot >= hotPeriods && n < u.s.o.WorkerProcesses && !u.load.growing && u.load.pause == 0:
		u.load.hot = 0
		u.grow()
	case u.load.calm >= calmPeriods:
		u.load.calm = 0
		last := n - 2 // in the list without the current one
		more := u.others()
		u.setMore(slices.Clone(more[:last]))
		more[last].close() // what it runs, it finishes
		u.s.log.Info("a calm worker has one process less", "script", u.scope.script, "version", u.version, "processes", n-1)
	}
}

// measure returns how many cores the processes have used on average since they
// were last measured, and how many they would have used on a machine of their own;
// ok is false when one of them was not measured before.
func measure(all []*Instance, at time.Time) (cores, wanted float64, inFlight int64, ok bool) {
	ok = true
	for _, in := range all {
		n, _ := in.inFlight()
		inFlight += n
		_, cpu, err := in.proc.Usage()
		sample, failed := in.proc.Sample()
		took := at.Sub(in.measured)
		if err != nil || failed != nil || in.measured.IsZero() || took <= 0 {
			ok = false
		} else {
			cores += float64(cpu-in.cpu) / float64(took)
			wanted += float64(cpu-in.cpu+sample.Waited-in.waited) / float64(took)
		}
		in.cpu, in.waited, in.measured = cpu, sample.Waited, at
	}
	return cores, wanted, inFlight, ok
}

// grow starts another process, unless it would take the place of another version.
// The caller holds u.mu.
func (u *unit) grow() {
	s := u.s
	if len(s.slots) >= cap(s.slots) || !s.join() {
		return
	}
	u.load.growing = true
	epoch := u.load.epoch
	go func() {
		defer s.wg.Done()
		ctx, cancel := context.WithTimeout(context.Background(), s.o.StartTimeout)
		defer cancel()
		ended := make(chan struct{})
		defer close(ended)
		go func() {
			select {
			case <-s.closing:
				cancel()
			case <-ended:
			}
		}()
		in, err := s.launch(ctx, u, nil)
		u.grown(in, err, epoch)
	}()
}

// grown takes the process that grow has started.
func (u *unit) grown(in *Instance, err error, epoch int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.load.growing = false
	switch {
	case err != nil:
		u.load.pause = failedPeriods
		u.s.log.Warn("a hot worker did not get another process", "script", u.scope.script, "version", u.version, "error", err)
	case u.dead || u.load.epoch != epoch || u.s.closed.Load() || u.current.Load() == nil:
		in.close()
	default:
		u.setMore(append(slices.Clone(u.others()), in))
		u.s.log.Info("a hot worker has another process", "script", u.scope.script, "version", u.version, "processes", len(u.others())+1)
	}
}
