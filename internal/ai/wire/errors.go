package wire

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/selvage-dev/selvage/internal/ai"
)

// errorName is what the runtime calls the errors of models.
const errorName = "AiError"

type errorJSON struct {
	InternalCode int         `json:"internalCode"`
	Message      string      `json:"message"`
	Name         string      `json:"name"`
	Description  string      `json:"description"`
	Errors       []errorItem `json:"errors"`
}

type errorItem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error writes an error as the runtime's binding reads it: run throws
// "<code>: <description>" with the name AiError; its other methods read errors.
func Error(e *ai.Error) []byte {
	raw, _ := json.Marshal(errorJSON{e.Code, errorName + ": " + e.Message, errorName, e.Message, []errorItem{{e.Code, e.Message}}}) // it always encodes
	return raw
}

// RetryAfterOf is when the *[ai.Error] in err says to come again, in whole seconds and
// at least one; 0 for all others.
func RetryAfterOf(err error) int {
	e, ok := errors.AsType[*ai.Error](err)
	if !ok || e.RetryAfter <= 0 {
		return 0
	}
	return max(1, int((e.RetryAfter+time.Second-1)/time.Second))
}
